//! A web service that answers as a test says.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::Peer;
use super::door::Door;
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
#[derive(Debug)]
pub struct Stub {
    door: Door,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    /// A service whose answers come from `answer`: status and body, or a whole [`Reply`].
    pub fn start<R: Into<Reply>>(answer: impl Fn(&Asked) -> R + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&asked);
        let answer = move |asked: &Asked| answer(asked).into();
        let door = Door::open(move |client| serve(client, &known, &answer));
        Self { door, asked }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// What has been asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while it was held").clone()
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
