//! One cache for us and for Python's `huggingface_hub`. Skipped where Python does not have it.

use std::fs;
use std::path::PathBuf;

use crate::{COMMIT, Setting, large};

/// Prints the path that `huggingface_hub` gives for a file, or nothing if it is not installed.
const SCRIPT: &str = r#"
import json, os, sys
endpoint, cache, revision, file, offline = sys.argv[1:]
os.environ.update(HF_ENDPOINT=endpoint, HF_HUB_OFFLINE=offline, HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1",
                  HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_IMPLICIT_TOKEN="1", HF_HOME=cache + "-home")
for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
try:
    from huggingface_hub import hf_hub_download, scan_cache_dir
except ImportError:
    print(json.dumps(None))
    sys.exit()
path = hf_hub_download("a/b", file, revision=revision, cache_dir=cache, local_files_only=offline == "1")
scan = scan_cache_dir(cache)
print(json.dumps({"path": path, "warnings": [str(w) for w in scan.warnings],
                  "files": sorted(f.file_name for r in scan.repos for v in r.revisions for f in v.files)}))
"#;

fn python(s: &Setting, revision: &str, file: &str, offline: &str) -> Option<serde_json::Value> {
    let cache = s.cache.path().to_str().unwrap();
    let args = [&*s.both.hub.address, cache, revision, file, offline];
    let answer = oculist_testing::python::run_source(SCRIPT, args)?.expect_success().json();
    if answer.is_null() {
        println!("skipped: this Python has no huggingface_hub");
        return None;
    }
    assert_eq!(answer["warnings"], serde_json::json!([]), "{answer}");
    Some(answer)
}

#[test]
fn python_finds_what_we_have_fetched() {
    let s = Setting::new();
    let got = s.fetch("hf:a/b").unwrap();
    for revision in ["main", COMMIT] {
        let Some(answer) = python(&s, revision, "onnx/model.onnx", "1") else { return };
        assert_eq!(PathBuf::from(answer["path"].as_str().unwrap()), got.path);
        let files =
            ["config.json", "model.onnx", "model.onnx_data", "preprocessor_config.json"].map(String::from);
        assert_eq!(answer["files"], serde_json::json!(files));
    }
    // Not even its facts are asked for a second time where Python looks for them.
    s.both.large.take();
    let answer = python(&s, "main", "onnx/model.onnx_data", "0").unwrap();
    assert_eq!(fs::read(answer["path"].as_str().unwrap()).unwrap(), &large()[8..]);
    assert_eq!(s.both.large.take().len(), 0, "nothing was loaded again");
}

#[test]
fn we_find_what_python_has_fetched() {
    let mut s = Setting::new();
    let Some(answer) = python(&s, "main", "onnx/model.onnx", "0") else { return };
    let path = PathBuf::from(answer["path"].as_str().unwrap());
    assert_eq!(fs::read(&path).unwrap(), large());
    s.both.hub.take();
    s.both.large.take();
    s.hub.offline = true;
    for name in ["hf:a/b", "hf:a/b/onnx/model.onnx", &format!("hf:a/b@{COMMIT}/onnx/model.onnx")] {
        let got = s.fetch(name).unwrap();
        assert_eq!((&got.path, got.commit.as_str()), (&path, COMMIT), "{name}");
    }
    assert!(s.both.hub.take().is_empty());
    // With the network, what is missing beside it is loaded, and the model is not.
    s.hub.offline = false;
    python(&s, "main", "onnx/model.onnx_data", "0").unwrap();
    s.both.large.take();
    assert_eq!(s.fetch("hf:a/b").unwrap().path, path);
    assert!(s.both.large.take().is_empty(), "the blobs are Python's");
    assert!(path.parent().unwrap().join("preprocessor_config.json").is_file());
    #[cfg(unix)]
    {
        let data = fs::symlink_metadata(path.with_file_name("model.onnx_data")).unwrap();
        assert!(data.is_file(), "Python's link became a file");
    }
    python(&s, "main", "onnx/model.onnx_data", "1").unwrap();
}
