//! A small server on the loopback that answers as the Hub does, and one that holds its large files.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// `METHOD PATH`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An answer; of the body only as much is sent as `cut` says, then the connection ends.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

impl Reply {
    fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    fn with(mut self, name: &str, value: &dyn std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::new(status).with("X-Error-Code", &code).with("X-Error-Message", &message)
    }
}

/// A server with all that it was asked.
pub(crate) struct Server {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (log.clone(), Arc::new(answer));
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    seen.lock().unwrap().push(request.clone());
                    send(stream, &request, &answer(&request));
                });
            }
        });
        Self { address, log }
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// The same as lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.take().iter().map(Request::line).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?.take(1 << 16));
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut parts = line.split_whitespace().map(str::to_owned);
    let (method, path) = (parts.next()?, parts.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(Request { method, path, headers })
}

fn send(mut stream: TcpStream, request: &Request, reply: &Reply) {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    if !reply.headers.iter().any(|(name, _)| name == "Content-Length") {
        let _ = write!(head, "Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head += "\r\n";
    let _ = stream.write_all(head.as_bytes());
    if request.method != "HEAD" {
        let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
        let _ = stream.write_all(&reply.body[..end]);
    }
}

/// What the Hub has and how it behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) commit: String,
    /// Name, content, whether it lies with the large files.
    pub(crate) files: Vec<(String, Vec<u8>, bool)>,
    /// Token that is asked for.
    pub(crate) token: Option<String>,
    /// Status of all answers.
    pub(crate) down: Option<u16>,
    /// For each of the next answers with a large file: bytes after which the connection ends.
    pub(crate) cuts: Vec<usize>,
    /// Length that the headers name too much.
    pub(crate) longer: usize,
    /// Whether each large file has another byte than its checksum says.
    pub(crate) damaged: bool,
    pub(crate) ignores_ranges: bool,
    /// Whether the repository has another name now.
    pub(crate) is_renamed: bool,
}

/// The Hub and the server of its large files.
pub(crate) struct Both {
    pub(crate) hub: Server,
    pub(crate) large: Server,
    state: Arc<Mutex<State>>,
}

impl Both {
    pub(crate) fn start(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let of_large = state.clone();
        let large = Server::start(move |request| large_file(&mut of_large.lock().unwrap(), request));
        let (of_hub, elsewhere) = (state.clone(), large.address.clone());
        let hub = Server::start(move |request| answer(&of_hub.lock().unwrap(), request, &elsewhere));
        Self { hub, large, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().fold(
        String::new(),
        |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        },
    )
}

fn answer(state: &State, request: &Request, elsewhere: &str) -> Reply {
    if let Some(status) = state.down {
        return Reply::new(status);
    }
    if let Some(token) = &state.token
        && request.header("authorization") != Some(&format!("Bearer {token}"))
    {
        return Reply::refused(401, "GatedRepo", "Access to model a/b is restricted.");
    }
    let path = request.path.as_str();
    let (name, new) = if state.is_renamed { ("/a/old", "/a/b") } else { ("/a/b", "/a/b") };
    if let Some(rest) = path.strip_prefix(name).filter(|rest| state.is_renamed && rest.starts_with('/')) {
        return Reply::new(307).with("Location", &format!("{new}{rest}"));
    }
    if let Some(revision) = path.strip_prefix("/api/models/a/b/revision/") {
        if !["main", "v1", "refs%2Fpr%2F1", &state.commit].contains(&revision) {
            return Reply::refused(404, "RevisionNotFound", "Invalid rev id");
        }
        let names = state.files.iter().map(|(name, ..)| format!("{{\"rfilename\":\"{name}\"}}"));
        let names = names.collect::<Vec<_>>().join(",");
        let body = format!("{{\"sha\":\"{}\",\"siblings\":[{names}]}}", state.commit);
        return Reply { body: body.into_bytes(), ..Reply::new(200) };
    }
    let Some((_, file)) = path.strip_prefix("/a/b/resolve/").and_then(|rest| rest.split_once('/')) else {
        return Reply::refused(404, "RepoNotFound", "Repository not found");
    };
    let Some((_, bytes, is_large)) = state.files.iter().find(|(name, ..)| name == file) else {
        return Reply::refused(404, "EntryNotFound", "Entry not found");
    };
    if *is_large {
        let sum = sha256(bytes);
        return Reply { body: b"Found. Redirecting".to_vec(), ..Reply::new(302) }
            .with("X-Repo-Commit", &state.commit)
            .with("X-Linked-Etag", &format!("\"{sum}\""))
            .with("X-Linked-Size", &bytes.len())
            .with("ETag", &"\"of-the-redirect\"")
            .with("Location", &format!("{elsewhere}/{sum}?signature=1"));
    }
    Reply { body: bytes.clone(), ..Reply::new(200) }
        .with("X-Repo-Commit", &state.commit)
        .with("ETag", &format!("\"{}\"", &sha256(bytes)[..40]))
}

fn large_file(state: &mut State, request: &Request) -> Reply {
    let asked = request.path.trim_start_matches('/').split('?').next().unwrap();
    let Some((_, bytes, _)) = state.files.iter().find(|(_, bytes, _)| sha256(bytes) == asked) else {
        return Reply::new(404);
    };
    let mut bytes = bytes.clone();
    if state.damaged {
        bytes[0] ^= 1;
    }
    let range = request.header("range").filter(|_| !state.ignores_ranges);
    let start: usize =
        range.map_or(0, |r| r.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    let all = bytes.len();
    if start >= all {
        return Reply::new(416);
    }
    let body = bytes.split_off(start);
    let mut reply = Reply::new(if range.is_some() { 206 } else { 200 })
        .with("Content-Length", &(body.len() + state.longer))
        .with("Content-Range", &format!("bytes {start}-{}/{all}", all - 1));
    reply.body = body;
    reply.cut = (!state.cuts.is_empty()).then(|| state.cuts.remove(0));
    reply
}
