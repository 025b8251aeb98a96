//! A model repository on this machine: serves one file the way Hugging Face does, with faults on demand.

#![allow(dead_code, reason = "each test program uses its own part of this module")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::Digest;

/// The path the server knows.
pub(crate) const REPO: &str = "maker/tiny-GGUF";
pub(crate) const FILE: &str = "tiny-q4_k_m.gguf";

/// What goes wrong with one transfer of the file.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The connection closes after so many bytes.
    CloseAfter(usize),
    /// The connection goes silent after so many bytes.
    StallAfter(usize),
    /// Another status instead of the file.
    Status(u16),
    /// The whole file whatever range is asked for.
    IgnoreRange,
    /// The right length with one byte changed.
    WrongByte,
    /// A redirect to this address instead of the file.
    RedirectTo(String),
    /// So many bytes more than announced.
    TooLong(usize),
}

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
}

pub(crate) struct Server {
    pub(crate) endpoint: String,
    pub(crate) content: Arc<Vec<u8>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    faults: VecDeque<Fault>,
    seen: Vec<Seen>,
    announce: bool,
    /// Bytes a write and the pause after it.
    throttle: Option<(usize, Duration)>,
}

impl Server {
    pub(crate) fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let content = Arc::new(content);
        let state = Arc::new(Mutex::new(State { announce: true, ..State::default() }));
        let (for_thread, served) = (Arc::clone(&state), Arc::clone(&content));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, content) = (Arc::clone(&for_thread), Arc::clone(&served));
                // A client that goes away is part of many tests.
                thread::spawn(move || drop(answer(&stream, &state, &content)));
            }
        });
        Self { endpoint, content, state }
    }

    /// Faults of the next transfers, in order; later ones are clean.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults = faults.into_iter().collect();
    }

    pub(crate) fn announce(&self, announce: bool) {
        self.state.lock().unwrap().announce = announce;
    }

    pub(crate) fn throttle(&self, bytes: usize, pause: Duration) {
        self.state.lock().unwrap().throttle = Some((bytes, pause));
    }

    pub(crate) fn transfers(&self) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.method == "GET" && seen.path.starts_with("/cdn/")).cloned().collect()
    }

    /// A catalogue with the served file as `tiny`, pinned or not, and any further sources after it.
    pub(crate) fn catalogue(&self, pinned: bool, more_sources: &str) -> String {
        let pin = if pinned { pin(&self.content) } else { String::new() };
        format!(
            "[[model]]\nname = 'tiny'\narchitecture = 'llama'\n{pin}\
             description = {{ ko = '작은 모델', en = 'a small model' }}\n\
             licence = {{ name = 'Apache-2.0', url = 'https://www.apache.org/licenses/LICENSE-2.0' }}\n\
             [[model.source]]\nkind = 'huggingface'\nrepo = '{REPO}'\nfile = '{FILE}'\nrevision = 'main'\n{more_sources}"
        )
    }
}

/// `size` and `sha256` of a catalogue entry.
pub(crate) fn pin(content: &[u8]) -> String {
    format!("size = {}\nsha256 = '{}'\n", content.len(), sha256(content))
}

pub(crate) fn sha256(content: &[u8]) -> String {
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that begins like a GGUF file; the store looks no further.
pub(crate) fn gguf_like(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut content: Vec<u8> = (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    content[..4].copy_from_slice(b"GGUF");
    content
}

fn answer(stream: &TcpStream, state: &Mutex<State>, content: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = request.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut seen = Seen { method, path, range: None, if_range: None };
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => seen.range = Some(value.to_owned()),
            Some((name, value)) if name.eq_ignore_ascii_case("if-range") => seen.if_range = Some(value.to_owned()),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let (fault, announce, throttle) = {
        let mut state = state.lock().unwrap();
        state.seen.push(seen.clone());
        let is_transfer = seen.method == "GET" && seen.path.starts_with("/cdn/");
        let fault = if is_transfer { state.faults.pop_front() } else { None };
        (fault.unwrap_or(Fault::None), state.announce, state.throttle)
    };
    let etag = sha256(content);
    if seen.path == format!("/{REPO}/resolve/main/{FILE}") {
        let announced = format!("X-Linked-ETag: \"{etag}\"\r\nX-Linked-Size: {}\r\n", content.len());
        let announced = if announce { announced.as_str() } else { "" };
        return head(stream, 302, &format!("{announced}Location: /cdn/{etag}\r\nContent-Length: 0\r\n"));
    }
    if seen.path != format!("/cdn/{etag}") {
        return head(stream, 404, "Content-Length: 0\r\n");
    }
    let start = match (&seen.range, &fault) {
        (Some(range), fault) if !matches!(fault, Fault::IgnoreRange) => {
            range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')).unwrap().parse().unwrap()
        }
        _ => 0,
    };
    let changed = seen.if_range.as_ref().is_some_and(|wanted| *wanted != format!("\"{etag}\""));
    let start: usize = if changed { 0 } else { start };
    let mut body = content[start..].to_vec();
    let mut limit = usize::MAX;
    match fault {
        Fault::Status(status) => return head(stream, status, "Content-Length: 0\r\n"),
        Fault::RedirectTo(to) => {
            return head(stream, 302, &format!("Location: {to}\r\nContent-Length: 0\r\n"));
        }
        Fault::WrongByte => *body.last_mut().unwrap() ^= 1,
        Fault::TooLong(bytes) => body.extend(vec![0; bytes]),
        Fault::CloseAfter(bytes) | Fault::StallAfter(bytes) => limit = bytes,
        Fault::None | Fault::IgnoreRange => {}
    }
    let range = format!("Content-Range: bytes {start}-{}/{}\r\n", content.len() - 1, content.len());
    let (status, range) = if start > 0 { (206, range.as_str()) } else { (200, "") };
    // A body longer than announced has to come without a length, or the client would never see the rest.
    let length =
        if matches!(fault, Fault::TooLong(_)) { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    head(stream, status, &format!("{range}{length}ETag: \"{etag}\"\r\n"))?;
    let (step, pause) = throttle.unwrap_or((1 << 16, Duration::ZERO));
    let body = &body[..body.len().min(limit)];
    for part in body.chunks(step) {
        let mut stream = stream;
        stream.write_all(part)?;
        thread::sleep(pause);
    }
    if matches!(fault, Fault::StallAfter(_)) {
        thread::sleep(Duration::from_secs(20));
    }
    Ok(())
}

fn head(mut stream: &TcpStream, status: u16, headers: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} X\r\n{headers}Connection: close\r\n\r\n")
}
