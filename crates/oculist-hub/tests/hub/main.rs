//! Fetching from a server that speaks as the Hub does.

mod python;
mod server;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use oculist_hub::{Fetched, Hub, HubError, Spec};
use server::{Both, State};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// Content that is not the same anywhere.
fn large() -> Vec<u8> {
    (0..300_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn state() -> State {
    let file = |name: &str, bytes: &[u8], is_large| (name.to_owned(), bytes.to_vec(), is_large);
    State {
        commit: COMMIT.into(),
        files: vec![
            file("README.md", b"# b", false),
            file("config.json", b"{\"id2label\":{}}", false),
            file("onnx/model.onnx", &large(), true),
            file("onnx/model.onnx_data", &large()[8..], true),
            file("onnx/preprocessor_config.json", b"{}", false),
            file("onnx/small.onnx", b"small", false),
        ],
        ..State::default()
    }
}

struct Setting {
    both: Both,
    hub: Hub,
    cache: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        let (both, cache) = (Both::start(state()), tempfile::tempdir().unwrap());
        let mut hub = Hub::new(cache.path());
        hub.endpoint.clone_from(&both.hub.address);
        hub.timeout = Duration::from_secs(10);
        Self { both, hub, cache }
    }

    fn fetch(&self, name: &str) -> Result<Fetched, HubError> {
        self.hub.fetch(&Spec::parse(name).unwrap().unwrap(), &mut |_| {})
    }

    /// Below the repository's folder in the cache.
    fn inside(&self, path: &str) -> std::path::PathBuf {
        self.cache.path().join("models--a--b").join(path)
    }

    /// Names of unfinished files and of those that are no files of the Hub.
    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.inside("blobs")).map(|entries| {
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        });
        names.unwrap_or_default().into_iter().filter(|name| name.contains('.')).collect()
    }
}

#[test]
fn what_belongs_to_a_model_comes_once() {
    let s = Setting::new();
    let mut lines = Vec::new();
    let spec = Spec::parse("hf:a/b").unwrap().unwrap();
    let got = s.hub.fetch(&spec, &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(got.commit, COMMIT);
    assert_eq!(got.path, s.inside(&format!("snapshots/{COMMIT}/onnx/model.onnx")));
    assert_eq!(got.notes, ["`onnx/model.onnx` was chosen; there are also `onnx/small.onnx`"]);
    assert_eq!(lines[0], "fetching onnx/model.onnx (1.2 MB)");
    let folder = got.path.parent().unwrap();
    assert_eq!(fs::read(&got.path).unwrap(), large());
    assert_eq!(fs::read(folder.join("model.onnx_data")).unwrap(), &large()[8..]);
    assert_eq!(fs::read(folder.join("preprocessor_config.json")).unwrap(), b"{}");
    assert_eq!(fs::read(folder.parent().unwrap().join("config.json")).unwrap(), b"{\"id2label\":{}}");
    assert!(!folder.join("small.onnx").exists() && s.leftovers().is_empty());
    assert_eq!(fs::read_to_string(s.inside("refs/main")).unwrap(), COMMIT);
    #[cfg(unix)]
    {
        let is_link = |path: &Path| fs::symlink_metadata(path).unwrap().is_symlink();
        let target = fs::read_link(&got.path).unwrap();
        assert_eq!(target, Path::new("../../../blobs").join(server::sha256(&large())), "relative");
        assert!(!is_link(&folder.join("model.onnx_data")), "data may not be a link out of its folder");
    }
    assert_eq!(s.both.hub.take().len(), 9, "the list, then HEAD and GET of each file");

    let again = s.fetch("hf:a/b").unwrap();
    assert_eq!(again, got);
    assert_eq!(s.both.hub.lines(), ["GET /api/models/a/b/revision/main"], "a branch may have moved");
    let again = s.fetch(&format!("hf:a/b@{COMMIT}/onnx/model.onnx")).unwrap();
    assert_eq!((again.path, again.notes), (got.path, vec![]));
    assert_eq!(s.both.hub.take().len(), 0, "a commit does not");
}

#[test]
fn a_branch_that_has_moved_loads_only_what_is_new() {
    let s = Setting::new();
    s.fetch("hf:a/b@v1").unwrap();
    {
        let mut state = s.both.state();
        state.commit = LATER.into();
        state.files[1].1 = b"{}".to_vec();
    }
    s.both.large.take();
    let got = s.fetch("hf:a/b@v1").unwrap();
    assert_eq!((got.commit.as_str(), fs::read(&got.path).unwrap()), (LATER, large()));
    assert_eq!(s.both.large.take().len(), 0, "the blobs are the same");
    assert_eq!(fs::read_to_string(s.inside("refs/v1")).unwrap(), LATER);
    let before = s.inside(&format!("snapshots/{COMMIT}/config.json"));
    assert_eq!(fs::read(before).unwrap(), b"{\"id2label\":{}}", "the commit before is as it was");
    s.fetch("hf:a/b@refs%2Fpr%2F1").unwrap();
    assert!(s.inside("refs/refs/pr/1").is_file());
}

#[test]
fn a_broken_download_goes_on_where_it_ended() {
    let s = Setting::new();
    s.both.state().cuts = vec![500_000, 400_000];
    let got = s.fetch("hf:a/b/onnx/model.onnx").unwrap();
    assert_eq!(fs::read(&got.path).unwrap(), large());
    let ranges: Vec<_> = s.both.large.take().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    let range = |n: usize| Some(format!("bytes={n}-"));
    assert_eq!(ranges[..3], [None, range(500_000), range(900_000)]);
    assert!(s.leftovers().is_empty());
}

#[test]
fn what_was_loaded_is_kept_for_the_next_command() {
    let mut s = Setting::new();
    s.hub.attempts = 1;
    s.both.state().cuts = vec![500_000];
    let err = s.fetch("hf:a/b/onnx/model.onnx").unwrap_err();
    assert!(matches!(err, HubError::Interrupted { loaded: 500_000, total: Some(1_200_000), .. }), "{err}");
    assert!(err.to_string().ends_with("the same command goes on there"), "{err}");
    assert_eq!(s.leftovers(), [format!("{}.incomplete", server::sha256(&large()))]);
    assert!(!s.inside("snapshots").exists() && !s.inside("refs").exists(), "nothing half has appeared");
    s.both.large.take();
    s.both.state().ignores_ranges = true;
    let got = s.fetch("hf:a/b/onnx/model.onnx").unwrap();
    assert_eq!(fs::read(&got.path).unwrap(), large(), "a server without ranges sends it all again");
    assert_eq!(s.both.large.take()[0].header("range"), Some("bytes=500000-"));
}

#[test]
fn a_model_does_not_appear_before_its_data() {
    let mut s = Setting::new();
    s.hub.attempts = 1;
    s.both.state().cuts = vec![usize::MAX, 10];
    let err = s.fetch("hf:a/b").unwrap_err();
    assert!(matches!(&err, HubError::Interrupted { file, .. } if file == "onnx/model.onnx_data"), "{err}");
    assert!(
        s.inside(&format!("blobs/{}", server::sha256(&large()))).is_file(),
        "it need not be loaded again"
    );
    assert!(!s.inside("snapshots").exists() && !s.inside("refs").exists());
    s.both.large.take();
    s.fetch("hf:a/b").unwrap();
    assert_eq!(s.both.large.take().len(), 1);
}

#[test]
fn a_half_file_of_something_else_is_not_continued() {
    let s = Setting::new();
    let unfinished = s.inside(&format!("blobs/{}.incomplete", server::sha256(&large())));
    fs::create_dir_all(unfinished.parent().unwrap()).unwrap();
    fs::write(&unfinished, b"other").unwrap();
    let err = s.fetch("hf:a/b/onnx/model.onnx").unwrap_err();
    assert!(
        matches!(&err, HubError::Checksum { expected, .. } if *expected == server::sha256(&large())),
        "{err}"
    );
    assert!(s.leftovers().is_empty());
    fs::write(&unfinished, vec![0; 2_000_000]).unwrap();
    let got = s.fetch("hf:a/b/onnx/model.onnx").unwrap();
    assert_eq!(fs::read(got.path).unwrap(), large(), "what is too long begins again");
}

#[test]
fn wrong_lengths_and_bytes_leave_nothing() {
    let s = Setting::new();
    s.both.state().longer = 5;
    let err = s.fetch("hf:a/b/onnx/model.onnx").unwrap_err();
    assert_eq!(
        err.to_string(),
        "`onnx/model.onnx`: expected 1200000 bytes, found 1200005; nothing of it was kept"
    );
    assert!(s.leftovers().is_empty() && !s.inside("snapshots").exists());
    s.both.state().longer = 0;
    s.both.state().damaged = true;
    let err = s.fetch("hf:a/b/onnx/model.onnx").unwrap_err();
    assert!(matches!(err, HubError::Checksum { .. }), "{err}");
    assert!(s.leftovers().is_empty() && !s.inside("snapshots").exists());
}

#[test]
fn the_token_stays_with_the_hub() {
    let mut s = Setting::new();
    s.both.state().token = Some("hf_secret".into());
    let err = s.fetch("hf:a/b").unwrap_err();
    let text = err.to_string();
    assert!(matches!(err, HubError::Denied { status: 401, with_token: false, .. }), "{text}");
    for part in ["restricted", "licence", "set a token", "HF_TOKEN", &format!("{}/a/b", s.both.hub.address)] {
        assert!(text.contains(part), "{text}");
    }
    s.hub.token = Some("hf_wrong".into());
    let text = s.fetch("hf:a/b").unwrap_err().to_string();
    assert!(text.contains("see whether the token may read it") && !text.contains("hf_wrong"), "{text}");
    s.hub.token = Some("hf_secret".into());
    s.both.hub.take();
    s.fetch("hf:a/b").unwrap();
    assert!(s.both.hub.take().iter().all(|r| r.header("authorization") == Some("Bearer hf_secret")));
    let elsewhere = s.both.large.take();
    assert!(!elsewhere.is_empty() && elsewhere.iter().all(|r| r.header("authorization").is_none()));
}

#[test]
fn what_is_not_there_is_named() {
    let s = Setting::new();
    let err = |name: &str| s.fetch(name).unwrap_err();
    assert!(matches!(err("hf:a/other"), HubError::NoRepository { .. }));
    let text = err("hf:a/b@v9").to_string();
    assert_eq!(text, "`a/b` has no branch, tag or commit `v9` (404)");
    let text = err("hf:a/b/onnx/modle.onnx").to_string();
    assert!(text.starts_with("`a/b` has no file `onnx/modle.onnx`; near are `onnx/model.onnx`"), "{text}");
    s.both.state().files.remove(2);
    s.both.state().files.push(("onnx/x.onnx".into(), b"x".to_vec(), false));
    let text = err("hf:a/b").to_string();
    assert!(text.ends_with("hf:a/b/FILE: `onnx/small.onnx`, `onnx/x.onnx`"), "{text}");
}

#[test]
fn a_repository_with_a_new_name_is_found() {
    let s = Setting::new();
    s.both.state().is_renamed = true;
    s.both.state().files[5].2 = true;
    // Only the files are redirected here; the list is asked for under the old name first.
    let err = s.fetch("hf:a/old").unwrap_err();
    assert!(matches!(err, HubError::NoRepository { .. }), "{err}");
    let spec = Spec::parse(&format!("hf:a/old@{COMMIT}/onnx/small.onnx")).unwrap().unwrap();
    let lists = s.cache.path().join("models--a--old/.oculist");
    fs::create_dir_all(&lists).unwrap();
    fs::write(lists.join(COMMIT), "onnx/small.onnx").unwrap();
    assert_eq!(fs::read(s.hub.fetch(&spec, &mut |_| {}).unwrap().path).unwrap(), b"small");
}

#[test]
fn offline_the_cache_is_all() {
    let mut s = Setting::new();
    s.hub.offline = true;
    let err = s.fetch("hf:a/b/onnx/model.onnx").unwrap_err();
    let text = err.to_string();
    assert!(matches!(err, HubError::Offline { .. }), "{text}");
    for part in ["HF_HUB_OFFLINE", "--model PATH", "models--a--b", "/a/b/resolve/main/onnx/model.onnx"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let place = s.inside(&format!("snapshots/{COMMIT}/x.onnx"));
    let text = s.fetch(&format!("hf:a/b@{COMMIT}/x.onnx")).unwrap_err().to_string();
    assert!(text.ends_with(&format!("put it at `{}`", place.display())), "{text}");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, "by hand").unwrap();
    let got = s.fetch(&format!("hf:a/b@{COMMIT}")).unwrap();
    assert_eq!((got.path, got.notes.len()), (place, 1));
    fs::remove_dir_all(s.inside("")).unwrap();
    assert_eq!(s.both.hub.take().len(), 0);

    s.hub.offline = false;
    let online = s.fetch("hf:a/b").unwrap();
    s.both.hub.take();
    s.hub.offline = true;
    let got = s.fetch("hf:a/b").unwrap();
    assert_eq!((&got.path, &got.commit), (&online.path, &online.commit));
    assert_eq!(got.notes[1], "offline: `main` is commit 0123456789 of the cache");
    assert!(
        matches!(s.fetch("hf:a/b/README.md").unwrap_err(), HubError::Offline { .. }),
        "known, not loaded"
    );
    assert_eq!(s.both.hub.take().len() + s.both.large.lines().len(), 2, "only those from before");
}

#[test]
fn without_a_hub_the_cache_is_asked() {
    let mut s = Setting::new();
    let online = s.fetch("hf:a/b").unwrap();
    s.both.state().down = Some(503);
    let got = s.fetch("hf:a/b").unwrap();
    assert_eq!(got.path, online.path);
    assert!(got.notes[1].contains("answered 503") && got.notes[1].contains("commit 0123456789"), "{got:?}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    s.hub.endpoint = format!("http://{closed}");
    assert_eq!(s.fetch("hf:a/b").unwrap().path, online.path);
    // The encryption is there: a server that does not speak it is as good as none.
    s.hub.timeout = Duration::from_millis(500);
    for endpoint in [s.hub.endpoint.clone(), s.both.hub.address.replace("http:", "https:")] {
        s.hub.endpoint = endpoint;
        let err = s.fetch("hf:a/c").unwrap_err();
        let text = err.to_string();
        assert!(matches!(err, HubError::Unreachable { .. }), "{text}");
        assert!(text.contains("cannot be reached") && text.contains("--model PATH"), "{text}");
    }
}

#[test]
fn several_at_once_load_a_file_once() {
    let s = Setting::new();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| s.fetch("hf:a/b").unwrap())).collect();
        for one in all {
            assert_eq!(fs::read(one.join().unwrap().path).unwrap(), large());
        }
    });
    assert_eq!(s.both.large.take().len(), 2, "the model and its data");
    assert!(s.leftovers().is_empty());
}

#[cfg(unix)]
#[test]
fn links_in_the_way_are_refused() {
    let s = Setting::new();
    let unfinished = s.inside(&format!("blobs/{}.incomplete", server::sha256(&large())));
    fs::create_dir_all(unfinished.parent().unwrap()).unwrap();
    let victim = s.cache.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, &unfinished).unwrap();
    let text = s.fetch("hf:a/b").unwrap_err().to_string();
    assert!(text.ends_with("expected a regular file, found a link"), "{text}");
    assert_eq!(fs::read_to_string(victim).unwrap(), "mine");
}

/// Weights in two files; the tests of `oculist-weights` read such.
fn parts() -> Vec<(String, Vec<u8>, bool)> {
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    vec![
        ("model-00001-of-00002.safetensors".into(), large(), true),
        ("model-00002-of-00002.safetensors".into(), large()[4..].to_vec(), true),
        ("model.safetensors.index.json".into(), index.to_vec(), false),
    ]
}

#[test]
fn all_parts_of_weights_come_with_their_index() {
    let s = Setting::new();
    s.both.state().files = parts();
    let got = s.fetch("hf:a/b").unwrap();
    assert_eq!(got.path, s.inside(&format!("snapshots/{COMMIT}/model.safetensors.index.json")));
    assert!(got.notes.is_empty(), "{:?}", got.notes);
    for (name, bytes, _) in parts() {
        assert_eq!(fs::read(got.path.with_file_name(&name)).unwrap(), bytes, "{name}");
    }
    s.both.hub.take();
    assert_eq!(s.fetch(&format!("hf:a/b@{COMMIT}")).unwrap().path, got.path);
    assert_eq!(s.both.hub.take().len(), 0, "nothing is asked again");
    // Without one of its parts a commit is not complete.
    fs::remove_file(got.path.with_file_name("model-00002-of-00002.safetensors")).unwrap();
    s.fetch(&format!("hf:a/b@{COMMIT}")).unwrap();
    assert!(got.path.with_file_name("model-00002-of-00002.safetensors").is_file());
}

#[test]
fn an_index_does_not_appear_before_its_parts() {
    let mut s = Setting::new();
    s.hub.attempts = 1;
    s.both.state().files = parts();
    s.both.state().cuts = vec![usize::MAX, 10];
    let err = s.fetch("hf:a/b").unwrap_err();
    let part = "model-00002-of-00002.safetensors";
    assert!(matches!(&err, HubError::Interrupted { file, .. } if file == part), "{err}");
    assert!(!s.inside("snapshots").exists() && !s.inside("refs").exists());
}
