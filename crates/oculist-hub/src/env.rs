//! The settings that the environment holds.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Hub, HubError};

impl Hub {
    /// The Hub that the environment names, as Python's `huggingface_hub` reads it.
    ///
    /// | variable | means |
    /// |---|---|
    /// | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE` | the cache, else `hub` in `HF_HOME` |
    /// | `HF_HOME` | else `huggingface` in `XDG_CACHE_HOME` or `~/.cache` |
    /// | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` | the token, else the file `HF_TOKEN_PATH`, else `token` in `HF_HOME` |
    /// | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | no token is sent |
    /// | `HF_ENDPOINT` | address of the Hub |
    /// | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | the network is not used |
    /// | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | the proxy |
    ///
    /// # Errors
    /// [`HubError::Setting`] if a value cannot be used or there is no home folder and no variable names the cache;
    /// [`HubError::Read`] if the file of the token is there and cannot be read.
    ///
    /// # Source
    /// `constants.py` and `utils/_auth.py` of `huggingface_hub`.
    pub fn from_env() -> Result<Self, HubError> {
        let mut hub = Self::from_variables(|name| std::env::var_os(name), std::env::home_dir())?;
        hub.proxy = ureq::Proxy::try_from_env();
        Ok(hub)
    }

    /// [`from_env`](Self::from_env) with the environment as an argument, and without the proxy.
    fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = home.filter(|home| !home.as_os_str().is_empty());
        let path = |name: &str| set(name).map(|value| in_home(&PathBuf::from(value), home.as_deref()));
        let text = |name: &'static str| {
            set(name)
                .map(|value| {
                    let problem = "expected text in UTF-8, found other bytes".to_owned();
                    value.into_string().map_err(|_| HubError::Setting { name, problem })
                })
                .transpose()
        };
        let is_on = |name: &str| {
            let value = set(name).map(|value| value.to_string_lossy().to_ascii_uppercase());
            value.is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.as_str()))
        };

        let hf_home = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .or_else(|| home.as_ref().map(|home| home.join(".cache").join("huggingface")));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| hf_home.as_ref().map(|folder| folder.join("hub")));
        let problem =
            "expected the folder of the cache, found nothing, and there is no home folder".to_owned();
        let mut hub = Self::new(cache.ok_or(HubError::Setting { name: "HF_HUB_CACHE", problem })?);

        if !is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            let named = text("HF_TOKEN")?.or(text("HUGGING_FACE_HUB_TOKEN")?);
            let file = path("HF_TOKEN_PATH").or_else(|| hf_home.map(|folder| folder.join("token")));
            let token = match (named, file) {
                (None, Some(file)) => token_of(&file)?,
                (named, _) => named,
            };
            hub.token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        }
        if let Some(endpoint) = text("HF_ENDPOINT")? {
            endpoint.trim_end_matches('/').clone_into(&mut hub.endpoint);
        }
        hub.offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE");
        hub.check()?;
        Ok(hub)
    }
}

/// `~` and `~/...` below the home folder.
fn in_home(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn token_of(file: &Path) -> Result<Option<String>, HubError> {
    match oculist_files::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(HubError::Read { path: file.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub, HubError> {
        let of = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        Hub::from_variables(of, Some("/home/me".into()))
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        let cache = |variables: &[(&str, &str)]| hub(variables).unwrap().cache;
        assert_eq!(cache(&[]), Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        let all = [("HF_HUB_CACHE", "~/c"), ("HUGGINGFACE_HUB_CACHE", "/d"), ("HF_HOME", "/h")];
        assert_eq!(cache(&all), Path::new("/home/me/c"));
        assert_eq!(cache(&all[1..]), Path::new("/d"));
        assert_eq!(cache(&all[2..]), Path::new("/h/hub"));
        assert_eq!(
            cache(&[("HF_HOME", ""), ("HF_HUB_CACHE", "")]),
            Path::new("/home/me/.cache/huggingface/hub")
        );
        let homeless = Hub::from_variables(|_| None, None).unwrap_err().to_string();
        assert!(homeless.starts_with("HF_HUB_CACHE: expected the folder of the cache"), "{homeless}");
    }

    #[test]
    fn a_token_comes_from_the_variable_or_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let token = |more: &[(&str, &str)]| hub(&[&[("HF_HOME", home)], more].concat()).unwrap().token;
        assert_eq!(token(&[]), None);
        std::fs::write(dir.path().join("token"), " hf_file\n").unwrap();
        std::fs::write(dir.path().join("other"), "hf_other").unwrap();
        let other = dir.path().join("other");
        assert_eq!(token(&[]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_TOKEN_PATH", other.to_str().unwrap())]).as_deref(), Some("hf_other"));
        assert_eq!(token(&[("HF_TOKEN", "hf_it")]).as_deref(), Some("hf_it"));
        assert_eq!(token(&[("HUGGING_FACE_HUB_TOKEN", "hf_old")]).as_deref(), Some("hf_old"));
        assert_eq!(token(&[("HF_TOKEN", "hf_it"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        std::fs::remove_file(dir.path().join("token")).unwrap();
        std::fs::create_dir(dir.path().join("token")).unwrap();
        assert!(matches!(hub(&[("HF_HOME", home)]), Err(HubError::Read { .. })));
    }

    #[test]
    fn offline_and_endpoint() {
        for on in ["1", "true", "Yes", "ON"] {
            assert!(hub(&[("HF_HUB_OFFLINE", on)]).unwrap().offline, "{on}");
        }
        for off in ["", "0", "no", "2"] {
            assert!(!hub(&[("HF_HUB_OFFLINE", off)]).unwrap().offline, "{off}");
        }
        assert_eq!(hub(&[("HF_ENDPOINT", "https://mirror/")]).unwrap().endpoint, "https://mirror");
        assert!(hub(&[("HF_ENDPOINT", "mirror")]).is_err());
    }
}
