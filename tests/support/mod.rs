//! What tests of the whole program share: our server, a private PostgreSQL 15 beside it, psql on both.
//!
//! PostgreSQL is the oracle: where its programs are missing a test that needs them says so and passes, but fails in CI.

mod postgres;

pub(crate) use postgres::{PATIENCE, Postgres, psql};

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Our server on an empty folder, killed when dropped.
pub(crate) struct Lightning {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Lightning {
    pub(crate) fn start() -> Lightning {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_lightning"))
            .args(["start", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("it says that it is ready");
        let port = line.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.trim().parse().ok());
        let port = port.unwrap_or_else(|| panic!("not ready: {line}"));
        Lightning { child, port, _folder: folder }
    }
}

impl Drop for Lightning {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of `sql/`.
pub(crate) fn sql(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How two outputs differ, as `diff -u` shows it; empty when they do not.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    if expected == found {
        return String::new();
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("postgresql", expected), ("lightning", found)] {
        fs::write(folder.path().join(name), text).expect("the output is written");
    }
    let diff = Command::new("diff").args(["-u", "postgresql", "lightning"]).current_dir(folder.path()).output();
    diff.map_or_else(|_| "they differ".to_owned(), |diff| String::from_utf8_lossy(&diff.stdout).into_owned())
}

/// SQLSTATE of an ErrorResponse.
fn state_of(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let state = fields.find(|field| field.first() == Some(&b'C')).unwrap_or_default();
    String::from_utf8_lossy(state.get(1..).unwrap_or_default()).into_owned()
}

/// A connection that speaks the simple protocol with any bytes.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What a cancel request must show.
    key: Vec<u8>,
}

impl Wire {
    pub(crate) fn open(port: u16) -> Wire {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let mut wire = Wire { stream, key: Vec::new() };
        let parameters = b"user\0postgres\0database\0postgres\0\0";
        wire.packet(196_608, parameters);
        wire.answer();
        wire
    }

    /// A message without a kind.
    fn packet(&mut self, code: u32, body: &[u8]) {
        let mut packet = (body.len() as u32 + 8).to_be_bytes().to_vec();
        packet.extend(code.to_be_bytes());
        packet.extend(body);
        self.stream.write_all(&packet).expect("the server reads");
    }

    /// A simple query whose answer nobody reads yet; `false`: the connection is closed.
    pub(crate) fn send(&mut self, text: &[u8]) -> bool {
        let mut message = vec![b'Q'];
        message.extend((text.len() as u32 + 5).to_be_bytes());
        message.extend(text);
        message.push(0);
        self.stream.write_all(&message).is_ok()
    }

    /// SQLSTATE of the statement's error, or `""`.
    pub(crate) fn ask(&mut self, text: &[u8]) -> String {
        if self.send(text) { self.answer() } else { "closed".to_owned() }
    }

    /// A CopyData message; that nobody reads it any more is no error.
    pub(crate) fn copy_data(&mut self, data: &[u8]) {
        let mut message = vec![b'd'];
        message.extend((data.len() as u32 + 4).to_be_bytes());
        message.extend(data);
        let _ = self.stream.write_all(&message);
    }

    /// Another handle on the connection, for a thread that reads while this one writes.
    pub(crate) fn reader(&self) -> Wire {
        Wire { stream: self.stream.try_clone().expect("a second handle"), key: Vec::new() }
    }

    /// Waits for an error: its SQLSTATE.
    pub(crate) fn error(self) -> String {
        let mut input = BufReader::new(&self.stream);
        loop {
            let mut head = [0; 5];
            input.read_exact(&mut head).expect("a message");
            let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
            input.read_exact(&mut body).expect("a whole message");
            if head[0] == b'E' {
                return state_of(&body);
            }
        }
    }

    /// A cancel request for what the connection is doing.
    pub(crate) fn cancel(&self) {
        let address = self.stream.peer_addr().expect("it is connected");
        let stream = TcpStream::connect(address).expect("the server listens");
        Wire { stream, key: Vec::new() }.packet(80_877_102, &self.key);
    }

    /// Reads until ReadyForQuery.
    pub(crate) fn answer(&mut self) -> String {
        let mut code = String::new();
        let mut input = BufReader::with_capacity(1 << 16, &self.stream);
        loop {
            let mut head = [0; 5];
            if input.read_exact(&mut head).is_err() {
                return if code.is_empty() { "closed".to_owned() } else { code };
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
            let mut body = vec![0; length];
            input.read_exact(&mut body).expect("a whole message");
            match head[0] {
                b'Z' => return code,
                b'K' => self.key = body,
                b'E' => {
                    code = state_of(&body);
                }
                _ => {}
            }
        }
    }
}
