//! A line between a client and a server that knows nothing of what it carries.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::door::Door;

/// What a line does to its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How long each byte travels, in either direction. Making a connection takes a way there and
    /// back, as it would. How much is on its way at once is not limited.
    pub delay: Duration,
    /// Connections break after up to twice so many bytes from the client; 0 means never.
    pub cut_sending: u64,
    /// The same for bytes from the server. What the client has sent by then arrives, so that
    /// things are done whose answers are lost.
    pub cut_receiving: u64,
    /// New connections are closed at once, and those that exist break.
    pub down: bool,
    /// After each piece nothing is carried for this long.
    pub slow: Duration,
    /// When clients have sent so many more bytes, everything stands still until the weather
    /// changes; 0 means never.
    pub hold_after: u64,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    weather: Mutex<Weather>,
    open: Mutex<Vec<TcpStream>>,
    connections: AtomicU64,
    breaks: AtomicU64,
    /// Bytes that clients have sent since the weather changed.
    sent: AtomicU64,
    random: AtomicU64,
}

/// A line to a server at a port of this machine. Dropping it closes its door.
#[derive(Debug)]
pub struct Line {
    door: Door,
    shared: Arc<Shared>,
}

impl Line {
    /// A line to the server at a port of this machine.
    pub fn start(port: u16, weather: Weather) -> Self {
        let shared = Arc::new(Shared {
            upstream: SocketAddr::from(([127, 0, 0, 1], port)),
            weather: Mutex::new(weather),
            open: Mutex::default(),
            connections: AtomicU64::new(0),
            breaks: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            random: AtomicU64::new(1),
        });
        let running = Arc::clone(&shared);
        let door = Door::open(move |client| carry(client, &running));
        Self { door, shared }
    }

    /// Where clients find it.
    pub fn port(&self) -> u16 {
        self.door.address().port()
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.door.address().to_string()
    }

    /// Changes what happens to connections from now on; with [`Weather::down`] the others break.
    pub fn set(&self, weather: Weather) {
        {
            let mut held = self.shared.weather.lock().expect("no panic while it was held");
            self.shared.sent.store(0, Ordering::Relaxed);
            *held = weather;
        }
        if weather.down {
            self.break_all();
        }
    }

    /// Breaks the connections that exist.
    pub fn break_all(&self) {
        for stream in self.shared.open.lock().expect("no panic while it was held").drain(..) {
            self.shared.breaks.fetch_add(1, Ordering::Relaxed);
            // It may have been closed by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until so many more connections have been asked for.
    pub fn wait_for_connections(&self, count: u64) {
        super::wait_for(&self.shared.connections, count, "connections");
    }

    /// Waits until everything stands still, as [`Weather::hold_after`] says.
    pub fn wait_until_held(&self) {
        let start = Instant::now();
        while !self.shared.stands_still() {
            assert!(start.elapsed() < super::PATIENCE, "so much is never sent");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many connections were broken.
    pub fn breaks(&self) -> u64 {
        self.shared.breaks.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn stands_still(&self) -> bool {
        let limit = self.weather.lock().expect("no panic while it was held").hold_after;
        limit > 0 && self.sent.load(Ordering::Relaxed) >= limit
    }

    /// After how many bytes a connection breaks.
    fn limit(&self, mean: u64) -> u64 {
        if mean == 0 {
            return u64::MAX;
        }
        let mut z = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % (2 * mean) + 1
    }
}

/// Carries the bytes of one connection until it ends.
fn carry(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    shared.connections.fetch_add(1, Ordering::Relaxed);
    let weather = *shared.weather.lock().expect("no panic while it was held");
    if weather.down {
        return Ok(());
    }
    let server = TcpStream::connect(shared.upstream)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        let mut open = shared.open.lock().expect("no panic while it was held");
        open.push(stream.try_clone()?);
    }
    // The client believes to be connected already; so its first bytes make that way as well.
    let ready = Instant::now() + 2 * weather.delay;
    let there = (client.try_clone()?, server.try_clone()?, weather.cut_sending, true);
    let back = (server, client, weather.cut_receiving, false);
    std::thread::scope(|scope| {
        for (from, to, cut, sending) in [there, back] {
            let (sender, receiver) = sync_channel(1 << 12);
            let shared = &**shared;
            let limit = shared.limit(cut);
            scope.spawn(move || deliver(&receiver, to, weather.slow, shared));
            scope.spawn(move || {
                let mut from = from;
                let mut left = limit;
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length @ 1..) = from.read(&mut buffer) {
                    let passing = left.min(length as u64);
                    left -= passing;
                    if sending {
                        shared.sent.fetch_add(passing, Ordering::Relaxed);
                    }
                    let due = Instant::now().max(ready) + weather.delay;
                    let piece = buffer[..passing as usize].to_vec();
                    if sender.send((due, piece)).is_err() {
                        break;
                    }
                    if left == 0 {
                        shared.breaks.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
                // Whoever sends here sends in vain from now on.
                let _ = from.shutdown(Shutdown::Read);
            });
        }
    });
    Ok(())
}

/// Hands over each piece when its time has come.
fn deliver(
    pieces: &Receiver<(Instant, Vec<u8>)>,
    mut to: TcpStream,
    slow: Duration,
    shared: &Shared,
) {
    for (due, piece) in pieces {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        while shared.stands_still() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if to.write_all(&piece).is_err() {
            break;
        }
        std::thread::sleep(slow);
    }
    // Both ways end with either: half a connection is of no use to those who meet here.
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn ask(line: &Line, text: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", line.port()))?;
        stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn bytes_arrive_late_but_whole() {
        let delay = Duration::from_millis(20);
        let line = Line::start(echo(), Weather { delay, ..Weather::default() });
        let start = Instant::now();
        let text = vec![7; 1 << 20];
        assert_eq!(ask(&line, &text).unwrap(), text);
        assert!(
            start.elapsed() >= 4 * delay,
            "a connection and an answer: two ways there and back"
        );
    }

    #[test]
    fn connections_break_when_they_are_told_to() {
        let line = Line::start(echo(), Weather { cut_receiving: 1000, ..Weather::default() });
        assert!(ask(&line, &[1; 4000]).is_err());
        assert_eq!(line.breaks(), 1);
        line.set(Weather { down: true, ..Weather::default() });
        assert!(ask(&line, b"x").is_err());
        line.set(Weather::default());
        assert_eq!(ask(&line, b"x").unwrap(), b"x");
    }
}
