//! A web service that answers as a test says.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Peer;
use super::message::{self, Message};

/// A request that a [`Stub`] got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Its body.
    pub body: String,
    head: String,
}

impl Asked {
    /// A header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        message::header(&self.head, name)
    }
}

/// What a [`Stub`] answers.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers, besides the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body; of the answer to a `HEAD`, what it would be.
    pub body: String,
}

impl From<(u16, String)> for Reply {
    fn from((status, body): (u16, String)) -> Self {
        Self { status, body, ..Self::default() }
    }
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running service without TLS. Dropping it closes its door.
pub struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopped: Arc<AtomicBool>,
}

impl std::fmt::Debug for Stub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stub").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Stub {
    /// A service whose answers come from `answer`: status and body, or a whole [`Reply`].
    pub fn start<R: Into<Reply>>(answer: impl Fn(&Asked) -> R + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (known, ended) = (Arc::clone(&asked), Arc::clone(&stopped));
        let answer: Arc<Answer> = Arc::new(move |asked: &Asked| answer(asked).into());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (asked, answer) = (Arc::clone(&known), Arc::clone(&answer));
                std::thread::spawn(move || drop(serve(client, &asked, &*answer)));
            }
        });
        Self { address, asked, stopped }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What has been asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while it was held").clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(client: TcpStream, asked: &Mutex<Vec<Asked>>, answer: &Answer) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = Peer::new(client);
    while let Some(head) = message::read_head_or_end(&mut client)? {
        let request = Message::read_request(&head, &mut client)?;
        let question = Asked {
            method: request.method().to_owned(),
            target: request.target(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            head: String::from_utf8_lossy(&request.head).into_owned(),
        };
        let Reply { status, headers, body } = answer(&question);
        asked.lock().expect("no panic while it was held").push(question);
        write!(client, "HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\n", body.len())?;
        for (name, value) in headers {
            write!(client, "{name}: {value}\r\n")?;
        }
        let body = if request.method() == "HEAD" { "" } else { &body };
        write!(client, "\r\n{body}")?;
        client.flush()?;
    }
    Ok(())
}
