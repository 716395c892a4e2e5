//! Where the Hub and the cache are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{HubError, url};

/// The public Hub.
pub(crate) const PUBLIC: &str = "https://huggingface.co";
/// How often a connection may break without a byte in between.
const ATTEMPTS: u32 = 3;
/// How long nothing may come.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A Hub and the cache of its files. Nothing else is asked: no environment variable, no file of settings.
#[derive(Clone)]
#[non_exhaustive]
pub struct Hub {
    /// Address without a slash at its end.
    pub endpoint: String,
    /// Folder of the cache, which holds `models--OWNER--NAME`.
    pub cache: PathBuf,
    /// Token that is sent to the endpoint, and to no other host.
    pub token: Option<String>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// How often a download is begun without getting any further; at least 1.
    pub attempts: u32,
    /// How long a connection, an answer and each part of it may take.
    pub timeout: Duration,
    /// The proxy to go through.
    pub(crate) proxy: Option<ureq::Proxy>,
}

impl Hub {
    /// The public Hub without a token and with a cache in this folder.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: PUBLIC.to_owned(),
            cache: cache.into(),
            token: None,
            offline: false,
            attempts: ATTEMPTS,
            timeout: TIMEOUT,
            proxy: None,
        }
    }

    /// Whether the settings can be used; gives the endpoint without a slash at its end.
    pub(crate) fn check(&self) -> Result<&str, HubError> {
        if !url::is_http(&self.endpoint) || self.endpoint.contains(['?', '#', '@']) {
            let shown = oculist_text::name(&self.endpoint);
            let problem = format!("expected an address such as {PUBLIC}, found `{shown}`");
            return Err(HubError::Setting { name: "HF_ENDPOINT", problem });
        }
        // Whatever it is, it is not shown.
        if self.token.as_deref().is_some_and(|t| t.is_empty() || !t.bytes().all(|b| b.is_ascii_graphic())) {
            let problem =
                "expected letters, digits and signs without spaces, found something else".to_owned();
            return Err(HubError::Setting { name: "HF_TOKEN", problem });
        }
        Ok(self.endpoint.trim_end_matches('/'))
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the token nor the password of a proxy belongs in a log.
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("has_token", &self.token.is_some())
            .field("offline", &self.offline)
            .field("attempts", &self.attempts)
            .field("timeout", &self.timeout)
            .field("has_proxy", &self.proxy.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let mut hub = Hub::new("cache");
        hub.token = Some("hf_secret".into());
        assert!(!format!("{hub:?}").contains("secret"));
        assert_eq!(hub.check().unwrap(), PUBLIC);
        for token in ["", "hf_secret\r\nX: y", "hf secret", "hf_sécret"] {
            hub.token = Some(token.into());
            let text = hub.check().unwrap_err().to_string();
            assert!(text.starts_with("HF_TOKEN: ") && !text.contains("cret"), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_an_address() {
        let mut hub = Hub::new("cache");
        hub.endpoint = "http://localhost:8080/hub/".into();
        assert_eq!(hub.check().unwrap(), "http://localhost:8080/hub");
        for wrong in ["", "huggingface.co", "ftp://a", "https://", "https://user:pass@a", "https://a?x", "/a"]
        {
            hub.endpoint = wrong.into();
            assert!(hub.check().unwrap_err().to_string().starts_with("HF_ENDPOINT: "), "{wrong}");
        }
    }
}
