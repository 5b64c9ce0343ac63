//! A server on loopback that says what it is told to say: the endpoints of this world cannot be asked in tests.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A server that answers each request with the next of its answers, and tells what it was asked.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    asked: mpsc::Receiver<String>,
}

impl Stub {
    /// Begins to answer.
    pub(crate) fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (told, asked) = mpsc::channel();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a call");
                let _ = told.send(request(&mut stream));
                // Who has gone does not read it.
                let _ = stream.write_all(answer.as_bytes());
                if answer.ends_with(HANGS) {
                    thread::spawn(move || stream.read(&mut [0; 1]));
                }
            }
        });
        Self { address, asked }
    }

    /// Returns the next request, head and body.
    pub(crate) fn asked(&self) -> String {
        self.asked.recv_timeout(Duration::from_secs(20)).expect("a request")
    }

    /// Returns whether nothing was asked since.
    pub(crate) fn knows_nothing(&self) -> bool {
        self.asked.try_recv().is_err()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

/// What stands at the end of an answer that never ends.
pub(crate) const HANGS: &str = ": hangs\n\n";

fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = stream.read(&mut chunk).expect("readable");
        assert!(read > 0, "a whole request");
        bytes.extend_from_slice(&chunk[..read]);
    }
}

/// A stream of server-sent events.
pub(crate) fn streamed(words: &[&str], end: &str) -> String {
    let mut answer =
        String::from("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: hello\n\n");
    for word in words {
        let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": null}]});
        answer.push_str(&format!("data: {chunk}\n\n"));
    }
    answer + end
}

/// The end of such a stream.
pub(crate) const END: &str = "data: {\"choices\": [{\"index\": 0, \"delta\": {}, \"finish_reason\": \"length\"}]}\n\n\
                       data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 2}}\n\n\
                       data: [DONE]\n\n";

/// An answer in one piece.
pub(crate) fn plain(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
