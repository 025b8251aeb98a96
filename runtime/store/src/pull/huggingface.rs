//! A file in a Hugging Face repository.
//!
//! `<endpoint>/<repo>/resolve/<revision>/<file>` answers with a redirect to where the bytes are; that first answer
//! carries the file's SHA-256 as `X-Linked-ETag` and its size as `X-Linked-Size`.

use std::io::Read;
use std::time::Duration;

use ureq::http::{Method, StatusCode};

use super::http::{Answer, Client, Part, broken, header_text};
use super::{Promise, PullOptions};
use crate::catalogue::Entry;
use crate::files::{CHUNK, Staged};
use crate::monitor::{Event, Monitor, Phase};
use crate::name::Digest;
use crate::{Result, StoreError};

const ANNOUNCED_DIGEST: &str = "x-linked-etag";
const ANNOUNCED_SIZE: &str = "x-linked-size";

/// One file of a repository.
pub(super) struct Remote {
    client: Client,
    url: String,
    retries: u32,
}

impl Remote {
    pub(super) fn new(
        options: &PullOptions,
        repo: &str,
        file: &str,
        revision: &str,
        monitor: &Monitor<'_>,
    ) -> Result<Self> {
        monitor.check_cancelled()?;
        let client = Client::new(&options.hf_endpoint, options.stall_timeout, monitor.cancel_token());
        let url = format!("{}/{repo}/resolve/{revision}/{file}", options.hf_endpoint);
        Ok(Self { client, url, retries: options.retries })
    }

    /// Asks what the file is, and settles what it has to be: the catalogue's digest and size where it has them, the
    /// announced ones otherwise.
    pub(super) fn ask(&self, entry: &Entry, monitor: &mut Monitor<'_>) -> Result<Promise> {
        let answer = self.with_retries(monitor, |this, monitor| {
            let is_final = |response: &_| header_text(response, ANNOUNCED_DIGEST).is_some();
            let answer = this.client.send(&Method::HEAD, &this.url, &Part::default(), is_final);
            let answer = answer.or_else(|error| monitor.check_cancelled().and(Err(error)))?;
            let status = answer.response.status();
            if status.is_success() || status.is_redirection() {
                Ok(answer)
            } else {
                Err(StoreError::Status { host: answer.host, status: status.as_u16() })
            }
        })?;
        let digest = header_text(&answer.response, ANNOUNCED_DIGEST)
            .and_then(|etag| etag.trim_start_matches("W/").trim_matches('"').parse::<Digest>().ok());
        let size = header_text(&answer.response, ANNOUNCED_SIZE).and_then(|size| size.parse::<u64>().ok());
        let from = || answer.host.clone();
        if let (Some(expected), Some(found)) = (entry.sha256, digest)
            && expected != found
        {
            return Err(StoreError::DigestMismatch { from: from(), expected, found });
        }
        if let (Some(expected), Some(found)) = (entry.size, size)
            && expected != found
        {
            return Err(StoreError::SizeMismatch { from: from(), expected, found });
        }
        let (Some(digest), Some(size)) = (entry.sha256.or(digest), entry.size.or(size)) else {
            return Err(StoreError::NotAnnounced { host: answer.host });
        };
        if entry.sha256.is_none() {
            monitor.event(Event::Unpinned { digest: &digest });
        }
        Ok(Promise { digest, size })
    }

    /// Appends to `staged` until it has the promised size, going on after interruptions.
    pub(super) fn fetch(
        &self,
        staged: &mut Staged,
        promise: Promise,
        from: &str,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        if staged.len() > promise.size {
            staged.restart()?;
        }
        let (mut failures, mut etag) = (0, None);
        while staged.len() < promise.size {
            let before = staged.len();
            let result = self.fetch_once(staged, promise, from, &mut etag, monitor);
            match result.or_else(|error| monitor.check_cancelled().and(Err(error))) {
                Ok(()) => {}
                Err(error) if error.is_transient() => {
                    failures = if staged.len() > before { 1 } else { failures + 1 };
                    self.back_off(failures, error, monitor)?;
                }
                Err(error) => return Err(error),
            }
        }
        monitor.progress(Phase::Downloading, promise.size, promise.size)
    }

    fn fetch_once(
        &self,
        staged: &mut Staged,
        promise: Promise,
        from: &str,
        etag: &mut Option<String>,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        monitor.progress(Phase::Downloading, staged.len(), promise.size)?;
        let part = Part { from: staged.len(), etag: etag.as_deref() };
        let Answer { response, host } = self.client.send(&Method::GET, &self.url, &part, |_| false)?;
        let wrong_size = |found| StoreError::SizeMismatch { from: from.to_owned(), expected: promise.size, found };
        match response.status() {
            StatusCode::OK => {
                if let Some(size) = response.body().content_length().filter(|size| *size != promise.size) {
                    return Err(wrong_size(size));
                }
                // The server does not do ranges, or has another version of the file by now.
                staged.restart()?;
            }
            StatusCode::PARTIAL_CONTENT => {
                match header_text(&response, "content-range").and_then(parse_content_range) {
                    Some((start, size)) if start == staged.len() && size == promise.size => {}
                    Some((start, size)) if start == staged.len() => return Err(wrong_size(size)),
                    _ => {
                        staged.restart()?;
                        return Err(broken(&host, "it sent another part than asked for"));
                    }
                }
            }
            status => return Err(StoreError::Status { host, status: status.as_u16() }),
        }
        *etag = header_text(&response, "etag").filter(|etag| etag.starts_with('"')).map(str::to_owned);
        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            monitor.progress(Phase::Downloading, staged.len(), promise.size)?;
            match body.read(&mut chunk) {
                Ok(0) if staged.len() < promise.size => return Err(broken(&host, "it closed too early")),
                Ok(0) => return Ok(()),
                Ok(n) if staged.len() + n as u64 > promise.size => return Err(wrong_size(staged.len() + n as u64)),
                Ok(n) => staged.write(&chunk[..n])?,
                Err(error) => return Err(broken(&host, reason(&error))),
            }
        }
    }

    /// Repeats a short request that failed in passing. A host that cannot be reached at all is given up at once, so that
    /// the next source has its turn soon.
    fn with_retries<T>(
        &self,
        monitor: &mut Monitor<'_>,
        request: impl Fn(&Self, &Monitor<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut failures = 0;
        loop {
            match request(self, monitor) {
                Err(error) if error.is_transient() && !matches!(error, StoreError::Unreachable { .. }) => {
                    failures += 1;
                    self.back_off(failures, error, monitor)?;
                }
                result => return result,
            }
        }
    }

    /// Waits before the next attempt: half a second, doubled each time up to 16 seconds.
    fn back_off(&self, failures: u32, error: StoreError, monitor: &mut Monitor<'_>) -> Result<()> {
        if failures > self.retries {
            return Err(error);
        }
        let wait = Duration::from_millis(500 << (failures - 1).min(5));
        monitor.event(Event::Retrying { error: &error, wait });
        monitor.sleep(wait)
    }
}

/// Start and total of `bytes <start>-<end>/<total>`.
fn parse_content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

/// A read error in few words.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::TimedOut => "it went silent".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_content_range;

    #[test]
    fn content_ranges() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, 10)));
        for bad in ["", "bytes */10", "bytes 5-9/*", "items 5-9/10", "bytes -5-9/10"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
