//! A bad network: a proxy for HTTP that delays, refuses, cuts and forgets, and counts what
//! passes.
//!
//! It stands before one server. Clients are pointed at [`Proxy::address`]; those that insist on
//! a host of their own are told to use it as their proxy ([`Proxy::start_for_hosts`]), and it
//! ends their TLS itself.
//!
//! What is not HTTP goes through a [`Line`], which only knows bytes; a service that no program
//! here can play is a [`Stub`], and one that plays by no rules is [`Blunt`].

mod blunt;
mod door;
mod line;
mod message;
mod stub;

pub use blunt::Blunt;
pub use line::{Line, Weather};
pub use stub::{Asked, Reply, Stub};

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::servers::tls::Certificates;
use door::Door;
use message::Message;

/// What goes wrong, each with its share of the requests, from 0 to 1.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Answered with this status, without asking the server.
    pub refused: f64,
    /// That status; 0 means 503.
    pub status: u16,
    /// The body of such an answer.
    pub body: String,
    /// The answer breaks off in the middle of its body.
    pub cut: f64,
    /// The server has done it, but its answer is lost. Only of requests that change something.
    pub lost: f64,
    /// The connection is closed before the request has been read.
    pub hung_up: f64,
    /// Bodies of answers come in small pieces with waits between them.
    pub slow: f64,
    /// What each request takes longer.
    pub latency: Duration,
    /// Only requests of these methods are meant; empty means all.
    pub methods: &'static [&'static str],
    /// So many requests pass before anything of this begins.
    pub spared: u64,
    /// The server's clock is so far ahead: dates in heads of answers and in XML.
    pub clock_ahead: SignedDuration,
    /// Requests with another token than this are answered with 401, whatever else is set.
    pub bearer: Option<String>,
}

/// How long something may take that is sure to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// What has passed.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests, also those that failed by our doing.
    pub requests: AtomicU64,
    /// Bytes of bodies sent by the client.
    pub sent: AtomicU64,
    /// Bytes of bodies received by the client.
    pub received: AtomicU64,
    /// Faults.
    pub faults: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    faults: Mutex<Faults>,
    traffic: Traffic,
    random: AtomicU64,
    spared: AtomicU64,
}

/// A running proxy. Dropping it closes its door.
#[derive(Debug)]
pub struct Proxy {
    door: Door,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy before the server at a port of this machine.
    pub fn start(port: u16, faults: Faults) -> Self {
        Self::run(port, faults, None)
    }

    /// A proxy that clients use to reach any host, which is always the server at that port.
    pub fn start_for_hosts(port: u16, faults: Faults, certificates: &Certificates) -> Self {
        Self::run(port, faults, Some(server_config(certificates)))
    }

    fn run(port: u16, faults: Faults, tls: Option<Arc<ServerConfig>>) -> Self {
        let shared = Arc::new(Shared {
            upstream: Mutex::new(SocketAddr::from(([127, 0, 0, 1], port))),
            faults: Mutex::new(faults),
            traffic: Traffic::default(),
            random: AtomicU64::new(1),
            spared: AtomicU64::new(0),
        });
        let running = Arc::clone(&shared);
        let door = Door::open(move |client| accept(client, &running, tls.clone()));
        Self { door, shared }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.door.address().port()
    }

    /// Changes what goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        let mut held = self.shared.faults.lock().expect("no panic while it was held");
        self.shared.spared.store(faults.spared, Ordering::Relaxed);
        *held = faults;
    }

    /// Waits until so many more requests have come.
    pub fn wait_for_requests(&self, count: u64) {
        wait_for(&self.shared.traffic.requests, count, "requests");
    }

    /// Waits until so many more things have gone wrong.
    pub fn wait_for_faults(&self, count: u64) {
        wait_for(&self.shared.traffic.faults, count, "faults");
    }

    /// What has passed.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }
}

/// Waits until a counter has grown by so much.
fn wait_for(counter: &AtomicU64, count: u64, what: &str) {
    let (start, wanted) = (Instant::now(), counter.load(Ordering::Relaxed) + count);
    while counter.load(Ordering::Relaxed) < wanted {
        assert!(start.elapsed() < PATIENCE, "no {count} more {what} come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Shared {
    /// Whether something with this share happens now.
    fn happens(&self, share: f64) -> bool {
        if share <= 0.0 {
            return false;
        }
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let happens = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 <= share;
        if happens {
            self.traffic.faults.fetch_add(1, Ordering::Relaxed);
        }
        happens
    }

    /// What may go wrong with the next request.
    fn faults(&self, method: &[u8]) -> Faults {
        let held = self.faults.lock().expect("no panic while it was held");
        let left = |left: u64| left.checked_sub(1);
        let meant =
            held.methods.is_empty() || held.methods.iter().any(|known| known.as_bytes() == method);
        if !meant || self.spared.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            return Faults {
                latency: held.latency,
                clock_ahead: held.clock_ahead,
                bearer: held.bearer.clone(),
                ..Faults::default()
            };
        }
        held.clone()
    }
}

/// TLS for a server with these certificates.
fn server_config(certificates: &Certificates) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&certificates.certificate)
        .expect("the certificate")
        .collect::<Result<Vec<_>, _>>()
        .expect("PEM");
    let key = PrivateKeyDer::from_pem_file(&certificates.key).expect("the key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    Arc::new(config)
}

fn accept(
    mut client: TcpStream,
    shared: &Shared,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let Some(tls) = tls else { return serve(client, shared) };
    let mut start = [0; 8];
    let peeked = client.peek(&mut start)?;
    if start[..peeked] != *b"CONNECT " {
        return serve(client, shared);
    }
    message::read_head(&mut client)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    serve(StreamOwned::new(connection, client), shared)
}

/// Somebody to talk to, read in large pieces.
struct Peer<S>(BufReader<S>);

impl<S: Read> Peer<S> {
    fn new(stream: S) -> Self {
        Self(BufReader::with_capacity(64 << 10, stream))
    }
}

impl<S: Read> Read for Peer<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Peer<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// Serves the requests of one connection until something ends it.
fn serve(client: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut client = Peer::new(client);
    let mut server: Option<Peer<TcpStream>> = None;
    loop {
        let Some(head) = message::read_head_or_end(&mut client)? else { return Ok(()) };
        let method = head.split(|byte| *byte == b' ').next().unwrap_or_default();
        let faults = shared.faults(method);
        shared.traffic.requests.fetch_add(1, Ordering::Relaxed);
        if !faults.latency.is_zero() {
            std::thread::sleep(faults.latency);
        }
        if shared.happens(faults.hung_up) {
            return Ok(());
        }
        let request = Message::read_request(&head, &mut client)?;
        shared.traffic.sent.fetch_add(request.body.len() as u64, Ordering::Relaxed);
        let stranger = faults.bearer.as_ref().is_some_and(|token| {
            request.header("authorization") != Some(format!("Bearer {token}").as_str())
        });
        if stranger || shared.happens(faults.refused) {
            let status = match faults.status {
                _ if stranger => 401,
                0 => 503,
                status => status,
            };
            let body = if request.method() == "HEAD" { "" } else { &faults.body };
            write!(
                client,
                "HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            client.flush()?;
            continue;
        }
        let mut stream = if let Some(stream) = server.take() {
            stream
        } else {
            let upstream = *shared.upstream.lock().expect("no panic while it was held");
            let stream = TcpStream::connect(upstream)?;
            stream.set_nodelay(true)?;
            Peer::new(stream)
        };
        request.write_to(&mut stream)?;
        let mut answer = Message::read_answer(&request, &mut stream)?;
        if !faults.clock_ahead.is_zero() {
            answer.turn_clock(faults.clock_ahead);
        }
        let changes = matches!(request.method(), "PUT" | "POST" | "DELETE" | "MOVE" | "PATCH");
        if changes && shared.happens(faults.lost) {
            return Ok(());
        }
        shared.traffic.received.fetch_add(answer.body.len() as u64, Ordering::Relaxed);
        if answer.body.len() > 1 && shared.happens(faults.cut) {
            let (half, _) = answer.body.split_at(answer.body.len() / 2);
            client.write_all(&answer.head)?;
            client.write_all(half)?;
            client.flush()?;
            return Ok(());
        }
        if answer.body.len() > 64 && shared.happens(faults.slow) {
            client.write_all(&answer.head)?;
            for piece in answer.body.chunks(answer.body.len().div_ceil(8)) {
                client.write_all(piece)?;
                client.flush()?;
                std::thread::sleep(Duration::from_millis(10));
            }
        } else {
            answer.write_to(&mut client)?;
        }
        client.flush()?;
        if !answer.keeps_connection() {
            return Ok(());
        }
        server = Some(stream);
    }
}
