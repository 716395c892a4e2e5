//! Addresses: parts that are safe in them, where a redirect leads, and who may see the token.

use std::fmt::Write as _;

use ureq::http::Uri;

/// One part of a path as it stands in an address; a slash in it becomes `%2F`.
pub(crate) fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A path as it stands in an address; its slashes stay.
pub(crate) fn path(text: &str) -> String {
    text.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Scheme, host and port; `None` if it is no address of HTTP.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
    Some((scheme, host, uri.port_u16().unwrap_or(default)))
}

/// Whether it is an address of HTTP with a host.
pub(crate) fn is_http(url: &str) -> bool {
    origin(url).is_some()
}

/// Whether two addresses have the same scheme, host and port: only then one may see what is meant for the other.
pub(crate) fn same_origin(a: &str, b: &str) -> bool {
    origin(a).is_some() && origin(a) == origin(b)
}

/// Whether going from one address to the other would give up the encryption.
pub(crate) fn is_downgrade(from: &str, to: &str) -> bool {
    let scheme = |url: &str| origin(url).map(|(scheme, ..)| scheme);
    scheme(from).as_deref() == Some("https") && scheme(to).as_deref() != Some("https")
}

/// Where `Location: to` leads from an address; `None` if that is no address of HTTP.
pub(crate) fn follow(from: &str, to: &str) -> Option<String> {
    let uri: Uri = from.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let target = if to.contains("://") && !to.starts_with('/') {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{authority}{to}")
    } else {
        let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{to}")
    };
    is_http(&target).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_addresses() {
        assert_eq!(part("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(path("onnx/a b+é?#%.onnx"), "onnx/a%20b%2B%C3%A9%3F%23%25.onnx");
    }

    #[test]
    fn only_the_same_scheme_host_and_port_are_the_same() {
        let hub = "https://huggingface.co/a/b";
        assert!(same_origin(hub, "https://HuggingFace.co:443/c"));
        for other in [
            "http://huggingface.co/a/b",
            "https://huggingface.co:444/",
            "https://cdn.huggingface.co/",
            "https://huggingface.co.evil.example/",
            "https://huggingface.co@evil.example/",
            "ftp://huggingface.co/",
            "/a/b",
        ] {
            assert!(!same_origin(hub, other), "{other}");
        }
        assert!(!same_origin("/a", "/a"), "what has no host is nobody's");
        assert!(is_downgrade(hub, "http://huggingface.co/") && !is_downgrade("http://a/", "http://b/"));
        assert!(!is_downgrade("http://a/", "https://b/"));
    }

    #[test]
    fn redirects_lead_from_where_they_were_read() {
        let from = "http://h:1/a/b?x=1";
        assert_eq!(follow(from, "https://cdn/x?y").as_deref(), Some("https://cdn/x?y"));
        assert_eq!(follow(from, "//cdn/x").as_deref(), Some("http://cdn/x"));
        assert_eq!(follow(from, "/x").as_deref(), Some("http://h:1/x"));
        assert_eq!(follow(from, "x").as_deref(), Some("http://h:1/a/x"));
        assert_eq!(follow(from, "/x?u=http://y/").as_deref(), Some("http://h:1/x?u=http://y/"));
        assert_eq!(follow(from, "file:///etc/passwd"), None);
        assert_eq!(follow(from, "http://"), None);
    }
}
