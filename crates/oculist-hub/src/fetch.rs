//! From a name to a local file.

use std::path::PathBuf;

use crate::cache::{Entry, Repository};
use crate::choose::Plan;
use crate::client::{Client, Trouble};
use crate::download::Download;
use crate::{Elsewhere, Hub, HubError, Spec, is_commit};

/// Digits of a commit that are shown.
const SHOWN: usize = 10;

/// A model of the Hub that is here now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The file in the cache's folder of the commit; what belongs to it lies beside it or above.
    pub path: PathBuf,
    /// The commit it is of.
    pub commit: String,
    /// What a user wants to know: what was chosen, what could not be asked. One line each.
    pub notes: Vec<String>,
}

impl Hub {
    /// Gives the file of a name; from the cache where it is complete there, else from the network.
    ///
    /// The external data of an ONNX file, the parts of weights that have an index, and `config.json` and `preprocessor_config.json` of the repository and of the
    /// file's folder come with it. A commit that is in the cache needs no request; for a branch or a tag, the Hub is asked
    /// where it leads to, and the cache's last answer is taken if the Hub cannot be reached. `progress` is given lines.
    ///
    /// # Errors
    /// As [`HubError`] says; then no file has appeared in the cache that is not whole.
    pub fn fetch(&self, spec: &Spec, progress: &mut dyn FnMut(&str)) -> Result<Fetched, HubError> {
        let client = Client::new(self)?;
        let repository = Repository::new(&self.cache, spec);
        let mut known = None;
        if is_commit(spec.revision())
            && let Some(list) = repository.list(spec.revision())?
        {
            let plan = Plan::new(spec.repository(), spec.file(), &list)?;
            if plan.files().all(|file| repository.has(spec.revision(), file)) {
                own_data(&repository, spec.revision(), &plan);
                return Ok(found(&repository, spec.revision(), plan, Vec::new()));
            }
            known = Some((spec.revision().to_owned(), list));
        }
        if self.offline {
            return cached(spec, &client, &repository, None);
        }
        let (commit, list) = match known {
            Some(known) => known,
            None => match client.state(spec) {
                Ok(state) => state,
                Err(Trouble::Down(cause)) => return cached(spec, &client, &repository, Some(&cause)),
                Err(Trouble::Refused { status, code, message }) => {
                    return Err(client.refused(spec, None, (status, &code, message)));
                }
                Err(Trouble::Other(error)) => return Err(error),
            },
        };
        let plan = Plan::new(spec.repository(), spec.file(), &list)?;
        let mut new = Vec::new();
        for file in plan.files().filter(|file| !repository.has(&commit, file)) {
            let loaded = self.load(&client, &repository, spec, &commit, file, progress);
            let etag = loaded.map_err(|trouble| match trouble {
                Trouble::Down(cause) => {
                    let elsewhere = elsewhere(spec, &client, &repository, Some(&commit), Some(file));
                    HubError::Unreachable { spec: spec.to_string(), cause, elsewhere: Box::new(elsewhere) }
                }
                Trouble::Refused { status, code, message } => {
                    client.refused(spec, Some((file, &list)), (status, &code, message))
                }
                Trouble::Other(error) => error,
            })?;
            new.push((file, etag));
        }
        // Only now, and the model last: who finds it finds all of it.
        for (file, etag) in new.iter().rev() {
            let entry = if plan.data_is_read_as_files() && plan.data.contains(file) {
                Entry::File
            } else {
                Entry::Link
            };
            repository.link(&commit, file, etag, entry)?;
        }
        own_data(&repository, &commit, &plan);
        // Until now, what the branch led to before is what the cache has of it.
        repository.write_list(&commit, &list)?;
        repository.write_ref(spec.revision(), &commit)?;
        Ok(found(&repository, &commit, plan, Vec::new()))
    }

    /// Lets the blob of a file be in the cache; gives its name there.
    fn load(
        &self,
        client: &Client<'_>,
        repository: &Repository,
        spec: &Spec,
        commit: &str,
        file: &str,
        progress: &mut dyn FnMut(&str),
    ) -> Result<String, Trouble> {
        let address = client.address(spec, commit, file);
        let facts = client.facts(&address, commit)?;
        let attempts = self.attempts;
        Download { client, repository, address: &address, file, facts: &facts, attempts }.run(progress)?;
        Ok(facts.etag)
    }
}

/// What the cache has, if the network is not used (no cause) or does not work.
fn cached(
    spec: &Spec,
    client: &Client<'_>,
    repository: &Repository,
    cause: Option<&str>,
) -> Result<Fetched, HubError> {
    let commit = if is_commit(spec.revision()) {
        Some(spec.revision().to_owned())
    } else {
        repository.read_ref(spec.revision())?
    };
    let missing = |file: Option<&str>| {
        let elsewhere = Box::new(elsewhere(spec, client, repository, commit.as_deref(), file));
        match cause {
            Some(cause) => {
                HubError::Unreachable { spec: spec.to_string(), cause: cause.to_owned(), elsewhere }
            }
            None => HubError::Offline { spec: spec.to_string(), elsewhere },
        }
    };
    let Some(commit) = commit.as_deref() else { return Err(missing(spec.file())) };
    let list = repository.list(commit)?;
    let is_known = list.is_some();
    let present = repository.present(commit);
    let plan = match Plan::new(spec.repository(), spec.file(), list.as_deref().unwrap_or(&present)) {
        Ok(plan) => plan,
        // Without the repository's list, a file that is not here may be there.
        Err(HubError::NoFile { .. } | HubError::NoModel { .. }) if !is_known => {
            return Err(missing(spec.file()));
        }
        Err(error) => return Err(error),
    };
    if let Some(file) =
        std::iter::once(&plan.model).chain(&plan.data).find(|file| !repository.has(commit, file))
    {
        return Err(missing(Some(file)));
    }
    let mut notes = Vec::new();
    let short = &commit[..SHOWN];
    let revision = oculist_text::name(spec.revision());
    match cause.map(oculist_text::visible) {
        Some(cause) => {
            notes.push(format!("the Hub cannot be reached ({cause}); commit {short} of the cache is used"));
        }
        None if spec.revision() == commit => {}
        None => notes.push(format!("offline: `{revision}` is commit {short} of the cache")),
    }
    let absent = plan.settings.iter().filter(|file| !repository.has(commit, file));
    notes.extend(absent.map(|file| format!("`{}` is not in the cache", oculist_text::name(file))));
    if !is_known {
        notes.push("what else the repository has beside the model is not known".into());
    }
    own_data(repository, commit, &plan);
    Ok(found(repository, commit, plan, notes))
}

/// How to get a model by hand.
fn elsewhere(
    spec: &Spec,
    client: &Client<'_>,
    repository: &Repository,
    commit: Option<&str>,
    file: Option<&str>,
) -> Elsewhere {
    let revision = commit.unwrap_or(spec.revision());
    let place = match (commit, file) {
        (Some(commit), Some(file)) => Some(repository.entry(commit, file)),
        _ => None,
    };
    let url = match file {
        Some(file) => client.address(spec, revision, file),
        None => client.page(spec),
    };
    let is_folder = place.is_none();
    Elsewhere { place: place.unwrap_or_else(|| repository.folder().to_owned()), is_folder, url }
}

/// Data of a model that Python has linked becomes files, which whoever reads the model wants.
fn own_data(repository: &Repository, commit: &str, plan: &Plan) {
    for file in plan.data.iter().filter(|_| plan.data_is_read_as_files()) {
        // A cache that cannot be written is as it is; who reads the model says what is wrong.
        let _ = repository.make_file(commit, file);
    }
}

fn found(repository: &Repository, commit: &str, plan: Plan, mut notes: Vec<String>) -> Fetched {
    notes.splice(0..0, plan.note.map(|note| oculist_text::visible(&note).into_owned()));
    Fetched { path: repository.entry(commit, &plan.model), commit: commit.to_owned(), notes }
}
