//! A server that answers before it has read what was sent, and hangs up.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::door::Door;
use super::message;
use crate::servers::tls::Certificates;

/// Larger bodies are not read.
const READ: u64 = 64 << 10;

type Answer = dyn Fn(&str) -> String + Send + Sync;

/// A running server, each of whose connections ends with the first answer. Its answers are sent
/// byte for byte. Dropping it closes its door.
#[derive(Debug)]
pub struct Blunt {
    door: Door,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Blunt {
    /// A server whose answers come from `answer`, which gets the heads of requests.
    pub fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::run(None, Arc::new(answer))
    }

    /// The same with TLS.
    pub fn start_tls(
        certificates: &Certificates,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(super::server_config(certificates)), Arc::new(answer))
    }

    fn run(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&asked);
        let door = Door::open(move |client| {
            // Or else the answer might wait for something that never comes.
            client.set_nodelay(true)?;
            match &tls {
                None => serve(client, &known, &*answer),
                Some(tls) => {
                    let connection =
                        ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
                    serve(StreamOwned::new(connection, client), &known, &*answer)
                }
            }
        });
        Self { door, asked }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// The first lines of what has been asked so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic while it was held").clone()
    }
}

fn serve(
    mut client: impl Read + Write,
    asked: &Mutex<Vec<String>>,
    answer: &Answer,
) -> io::Result<()> {
    let head = String::from_utf8_lossy(&message::read_head(&mut client)?).into_owned();
    let first = head.lines().next().unwrap_or_default().to_owned();
    asked.lock().expect("no panic while it was held").push(first);
    let length = message::header(&head, "content-length").and_then(|text| text.parse().ok());
    let length: u64 = length.unwrap_or_default();
    if length <= READ {
        io::copy(&mut Read::by_ref(&mut client).take(length), &mut io::sink())?;
    }
    client.write_all(answer(&head).as_bytes())?;
    client.flush()
}
