//! Requests to the Hub: the state of a repository, the facts of a file, its bytes.
//!
//! Redirects are followed here and not by the HTTP library, which would send the token to any port of a host.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use crate::choose::near;
use crate::spec::{check_path, is_commit};
use crate::{Hub, HubError, Spec, url};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;
/// Bytes of a list of files that are read, and of an error's text.
const MOST_LIST: u64 = 64 << 20;
const MOST_ERROR: u64 = 16 << 10;
/// Characters of what the Hub says that are shown.
const MOST_SAID: usize = 200;

/// A Hub that is asked.
pub(crate) struct Client<'a> {
    agent: Agent,
    endpoint: &'a str,
    token: Option<&'a str>,
}

/// Why there is no answer that can be used.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The Hub cannot be reached or is out of order: what is in the cache may do.
    Down(String),
    /// The Hub refuses (401, 403) or does not know it (404).
    Refused {
        status: u16,
        /// Its name for the reason, such as `EntryNotFound`.
        code: String,
        message: String,
    },
    /// Anything else.
    Other(HubError),
}

/// What the Hub says of a file.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Name of the blob in the cache.
    pub(crate) etag: String,
    pub(crate) size: Option<u64>,
    /// For files that Git does not hold itself, which all large ones are.
    pub(crate) sha256: Option<String>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(hub: &'a Hub) -> Result<Self, HubError> {
        let endpoint = hub.check()?;
        let limit: Option<Duration> = Some(hub.timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(hub.proxy.clone())
            .user_agent(concat!("oculist/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(limit)
            .timeout_connect(limit)
            .timeout_recv_response(limit)
            .timeout_per_read(limit)
            .timeout_per_write(limit)
            .build();
        Ok(Self { agent: config.into(), endpoint, token: hub.token.as_deref() })
    }

    /// The commit of a revision and the repository's files there, in order.
    pub(crate) fn state(&self, spec: &Spec) -> Result<(String, Vec<String>), Trouble> {
        let (repository, revision) = (url::path(spec.repository()), url::part(spec.revision()));
        let address = format!("{}/api/models/{repository}/revision/{revision}", self.endpoint);
        let mut answer = self.get(&address, 0)?;
        let wrong = |problem: String| Trouble::Other(HubError::Answer { url: address.clone(), problem });
        let mut bytes = Vec::new();
        let read = answer.body_mut().as_reader().take(MOST_LIST).read_to_end(&mut bytes);
        read.map_err(|e| Trouble::Down(format!("{address}: {e}")))?;
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|e| wrong(format!("expected JSON, found other text: {e}")))?;
        let commit = json["sha"].as_str().filter(|sha| is_commit(sha));
        let commit = commit.ok_or_else(|| wrong("expected a commit in `sha`, found none".into()))?;
        let siblings = json["siblings"].as_array();
        let siblings = siblings.ok_or_else(|| wrong("expected a list in `siblings`, found none".into()))?;
        // A name that leads out of the folder is nobody's file.
        let names = siblings.iter().filter_map(|s| s["rfilename"].as_str()).filter(|n| check_path(n).is_ok());
        let mut files: Vec<_> = names.map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok((commit.to_owned(), files))
    }

    /// Where the bytes of a file at a commit are.
    pub(crate) fn address(&self, spec: &Spec, revision: &str, file: &str) -> String {
        let (repository, revision) = (url::path(spec.repository()), url::part(revision));
        format!("{}/{repository}/resolve/{revision}/{}", self.endpoint, url::path(file))
    }

    /// The repository's page.
    pub(crate) fn page(&self, spec: &Spec) -> String {
        format!("{}/{}", self.endpoint, spec.repository())
    }

    /// The facts of a file, without its bytes.
    pub(crate) fn facts(&self, address: &str, commit: &str) -> Result<Facts, Trouble> {
        let mut here = address.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.once(&here, true, 0)?;
            let headers = answer.headers();
            if answer.status().is_redirection() {
                let next = next(&here, headers)?;
                // Large files lie elsewhere; what they are, the Hub itself says.
                if url::same_origin(&here, &next) || text(headers, "x-linked-etag").is_none() {
                    here = next;
                    continue;
                }
            }
            let redirected = answer.status().is_redirection();
            let answer = if redirected { answer } else { self.accept(&here, answer)? };
            return facts(address, answer.headers(), redirected, commit).map_err(Trouble::Other);
        }
        Err(wrong(address, format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// An answer with a body, from a byte on.
    pub(crate) fn get(&self, address: &str, start: u64) -> Result<Response<Body>, Trouble> {
        let mut here = address.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.once(&here, false, start)?;
            if answer.status().is_redirection() {
                here = next(&here, answer.headers())?;
                continue;
            }
            // Nothing is left to be sent: whoever asked from a byte on knows what to do.
            if start > 0 && answer.status().as_u16() == 416 {
                return Ok(answer);
            }
            return self.accept(&here, answer);
        }
        Err(wrong(address, format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// One request. Only the Hub itself sees the token.
    fn once(&self, address: &str, head: bool, start: u64) -> Result<Response<Body>, Trouble> {
        let mut request = if head { self.agent.head(address) } else { self.agent.get(address) };
        // Sizes are those of the files, not of something packed.
        request = request.header("accept-encoding", "identity");
        if let Some(token) = self.token.filter(|_| url::same_origin(address, self.endpoint)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if start > 0 {
            request = request.header("range", format!("bytes={start}-"));
        }
        request.call().map_err(|e| Trouble::Down(format!("{}: {e}", without_query(address))))
    }

    /// The answer if it is a good one.
    fn accept(&self, address: &str, mut answer: Response<Body>) -> Result<Response<Body>, Trouble> {
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(answer);
        }
        let code = text(answer.headers(), "x-error-code").unwrap_or_default().to_owned();
        let message = match text(answer.headers(), "x-error-message") {
            Some(message) => message.chars().take(MOST_SAID).collect(),
            None => said(&mut answer),
        };
        if status == 429 || status >= 500 {
            return Err(Trouble::Down(format!("{} answered {status} {message}", without_query(address))));
        }
        // What another host refuses says nothing about the repository.
        if matches!(status, 401 | 403 | 404) && url::same_origin(address, self.endpoint) {
            return Err(Trouble::Refused { status, code, message });
        }
        Err(Trouble::Other(HubError::Status { url: without_query(address).to_owned(), status, message }))
    }

    /// A refusal as the error of a model, or of one of its files (with all files of the repository).
    pub(crate) fn refused(
        &self,
        spec: &Spec,
        file: Option<(&str, &[String])>,
        (status, code, message): (u16, &str, String),
    ) -> HubError {
        let repository = spec.repository().to_owned();
        if status != 404 {
            let page = self.page(spec);
            return HubError::Denied { repository, status, message, with_token: self.token.is_some(), page };
        }
        match (code, file) {
            ("RevisionNotFound", _) => {
                HubError::NoRevision { repository, revision: spec.revision().to_owned() }
            }
            ("RepoNotFound", _) => HubError::NoRepository { repository, endpoint: self.endpoint.to_owned() },
            (_, Some((file, list))) => {
                // The list has it, the Hub has not: it is no near name of itself.
                let near = near(file, list).into_iter().filter(|name| name != file).collect();
                HubError::NoFile { repository, file: file.to_owned(), near }
            }
            (_, None) if spec.revision() == "main" => {
                HubError::NoRepository { repository, endpoint: self.endpoint.to_owned() }
            }
            (_, None) => HubError::NoRevision { repository, revision: spec.revision().to_owned() },
        }
    }
}

/// Where a redirect leads.
fn next(here: &str, headers: &HeaderMap) -> Result<String, Trouble> {
    let to = text(headers, "location").and_then(|to| url::follow(here, to));
    let to = to.ok_or_else(|| wrong(here, "a redirect without an address that can be followed".into()))?;
    if url::is_downgrade(here, &to) {
        return Err(wrong(here, "a redirect from https to http is not followed".into()));
    }
    Ok(to)
}

fn wrong(address: &str, problem: String) -> Trouble {
    Trouble::Other(HubError::Answer { url: without_query(address).to_owned(), problem })
}

/// An address without what may be a signature.
fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `{"error": "..."}` of the Hub's answers.
fn said(answer: &mut Response<Body>) -> String {
    let mut bytes = Vec::new();
    // An error without a text is an error all the same.
    let _ = answer.body_mut().as_reader().take(MOST_ERROR).read_to_end(&mut bytes);
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    let text = json.and_then(|json| json["error"].as_str().map(str::to_owned)).unwrap_or_default();
    text.chars().take(MOST_SAID).collect()
}

fn facts(address: &str, headers: &HeaderMap, redirected: bool, commit: &str) -> Result<Facts, HubError> {
    let wrong = |problem: String| HubError::Answer { url: address.to_owned(), problem };
    if let Some(other) = text(headers, "x-repo-commit").filter(|other| *other != commit) {
        return Err(wrong(format!("expected the file of commit {commit}, found that of {other}")));
    }
    let linked = text(headers, "x-linked-etag").map(plain);
    let etag = linked.or_else(|| text(headers, "etag").map(plain));
    let etag = etag.ok_or_else(|| wrong("expected an ETag, found none: is it a Hub?".into()))?;
    // It becomes the name of a file.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if etag.is_empty() || etag.len() > 128 || etag.starts_with('.') || !etag.bytes().all(allowed) {
        return Err(wrong(format!("expected an ETag of letters and digits, found `{etag}`")));
    }
    // The length of a redirect is not the file's.
    let size = text(headers, "x-linked-size").or(text(headers, "content-length").filter(|_| !redirected));
    let is_sha256 = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(Facts {
        etag: etag.to_owned(),
        size: size.and_then(|size| size.trim().parse().ok()),
        sha256: linked.filter(is_sha256).map(str::to_ascii_lowercase),
    })
}

/// An ETag without its marks.
fn plain(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &str)], redirected: bool) -> Result<Facts, HubError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        facts("http://h/x", &map, redirected, "c0")
    }

    #[test]
    fn facts_of_small_and_large_files() {
        let small =
            of(&[("etag", "W/\"ab12\""), ("content-length", "7"), ("x-repo-commit", "c0")], false).unwrap();
        assert_eq!((&*small.etag, small.size, small.sha256), ("ab12", Some(7), None));
        let sum = "0A".repeat(32);
        let linked = format!("\"{sum}\"");
        let headers = [("etag", "\"x\""), ("x-linked-etag", &*linked), ("content-length", "9")];
        let large = of(&headers, true).unwrap();
        assert_eq!((&large.etag, large.size), (&sum, None), "the length is the redirect's");
        assert_eq!(large.sha256.unwrap(), sum.to_lowercase());
        assert_eq!(of(&[headers[1], ("x-linked-size", "8")], true).unwrap().size, Some(8));
    }

    #[test]
    fn names_of_blobs_stay_in_their_folder() {
        for etag in ["", "\"\"", "../x", "a/b", ".x", "a b", "a\\b"] {
            assert!(matches!(of(&[("etag", etag)], false), Err(HubError::Answer { .. })), "{etag}");
        }
        assert!(of(&[], false).unwrap_err().to_string().contains("expected an ETag, found none"));
        let other = of(&[("etag", "x"), ("x-repo-commit", "c1")], false).unwrap_err().to_string();
        assert!(other.contains("expected the file of commit c0, found that of c1"), "{other}");
    }
}
