//! HTTPS requests with redirects followed by hand, so that each hop is checked and its headers are seen.

use std::time::Duration;

use ureq::http::{Method, Request, Response, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use crate::error::NoAnswer;
use crate::monitor::CancelToken;
use crate::{Result, StoreError};

const MAX_REDIRECTS: usize = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP client for one endpoint.
pub(super) struct Client {
    agent: Agent,
    /// Whether the endpoint is plain http on this machine, which alone makes such addresses acceptable.
    loopback: bool,
}

/// An answer, and the host that gave it.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) host: String,
}

/// Which part of a file to ask for.
#[derive(Default)]
pub(super) struct Part<'a> {
    /// The first byte wanted.
    pub(super) from: u64,
    /// The strong ETag that the earlier bytes came with: if it changed, the whole file is wanted.
    pub(super) etag: Option<&'a str>,
}

impl Client {
    pub(super) fn new(endpoint: &str, stall_timeout: Duration, cancel: &CancelToken) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent: Agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(stall_timeout))
            .timeout_per_write(Some(stall_timeout))
            .user_agent(concat!("silhak/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let for_cancel = agent.clone();
        cancel.on_cancel(move || for_cancel.shutdown());
        let loopback = endpoint.parse().is_ok_and(|uri: Uri| is_plain_loopback(&uri));
        Self { agent, loopback }
    }

    /// Sends a request and follows redirects, each to an allowed address, until an answer that `is_final` or is no
    /// redirect. The status of that answer is the caller's to judge.
    pub(super) fn send(
        &self,
        method: &Method,
        url: &str,
        part: &Part<'_>,
        is_final: fn(&Response<Body>) -> bool,
    ) -> Result<Answer> {
        let mut uri = self.check(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let host = uri.host().unwrap_or_default().to_owned();
            let mut request = Request::builder().method(method).uri(&uri);
            if part.from > 0 {
                request = request.header(header::RANGE, format!("bytes={}-", part.from));
                if let Some(etag) = part.etag {
                    request = request.header(header::IF_RANGE, etag);
                }
            }
            let request = request.body(()).map_err(|_| insecure(url))?;
            let response = self.agent.run(request).map_err(|error| failed(&host, error))?;
            tracing::debug!(%method, host, from = part.from, status = response.status().as_u16(), "answered");
            let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            match location {
                Some(location) if response.status().is_redirection() && !is_final(&response) => {
                    uri = self.check(&absolute(&uri, location))?;
                }
                _ => return Ok(Answer { response, host }),
            }
        }
        Err(StoreError::Unreachable { host: uri.host().unwrap_or_default().to_owned(), why: NoAnswer::Circles })
    }

    /// Accepts https anywhere, and plain http only on this machine and only for an endpoint that is there itself.
    fn check(&self, url: &str) -> Result<Uri> {
        let uri: Uri = url.parse().map_err(|_| insecure(url))?;
        let secure = uri.scheme_str() == Some("https") && uri.host().is_some();
        if secure || (self.loopback && is_plain_loopback(&uri)) { Ok(uri) } else { Err(insecure(url)) }
    }
}

/// A header as text.
pub(super) fn header_text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// A transport error in the middle of an answer.
pub(super) fn broken(host: &str, why: impl ToString) -> StoreError {
    StoreError::Interrupted { host: host.to_owned(), why: why.to_string() }
}

/// A transport error before the answer.
fn failed(host: &str, error: ureq::Error) -> StoreError {
    let unreachable = |why| StoreError::Unreachable { host: host.to_owned(), why };
    match error {
        ureq::Error::HostNotFound => unreachable(NoAnswer::UnknownName),
        // The resolver of the system reports an unknown name as an error without a kind of its own.
        ureq::Error::Io(error) if error.to_string().contains("lookup address") => unreachable(NoAnswer::UnknownName),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => unreachable(NoAnswer::Silent),
        ureq::Error::Timeout(_) => broken(host, "it went silent"),
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => broken(host, error),
        ureq::Error::Protocol(error) => broken(host, error),
        ureq::Error::Io(error) => unreachable(NoAnswer::Other(error.to_string())),
        other => unreachable(NoAnswer::Other(other.to_string())),
    }
}

fn insecure(url: &str) -> StoreError {
    StoreError::Insecure { url: url.split(['?', '#']).next().unwrap_or_default().to_owned() }
}

fn is_plain_loopback(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http") && matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// A `Location` made absolute; one that is relative in an unusual way comes out as something that `check` refuses.
fn absolute(base: &Uri, location: &str) -> String {
    let scheme = base.scheme_str().unwrap_or_default();
    if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", base.authority().map_or("", |authority| authority.as_str()))
    } else {
        location.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_the_loopback_of_a_loopback_endpoint() {
        let client = |endpoint: &str| Client::new(endpoint, Duration::from_secs(1), &CancelToken::new());
        let (public, local) = (client("https://huggingface.co"), client("http://127.0.0.1:8080"));
        for url in ["https://huggingface.co/x", "https://cdn.example/x?y"] {
            assert!(public.check(url).is_ok() && local.check(url).is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:80/x"] {
            assert!(public.check(url).is_err() && local.check(url).is_ok(), "{url}");
        }
        for url in [
            "http://huggingface.co/x",
            "ftp://127.0.0.1/x",
            "file:///etc/passwd",
            "x",
            "",
            "http://127.0.0.1.evil.example/",
        ] {
            assert!(public.check(url).is_err() && local.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn locations_become_absolute() {
        let base: Uri = "https://a.example:444/x/y?z".parse().unwrap();
        assert_eq!(absolute(&base, "/q"), "https://a.example:444/q");
        assert_eq!(absolute(&base, "//b.example/q"), "https://b.example/q");
        assert_eq!(absolute(&base, "https://c.example/"), "https://c.example/");
    }
}
