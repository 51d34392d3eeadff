//! Raw load: pre-built masked frames over blocking sockets. Arguments: address, in flight, rounds.

use std::io::{Read, Write};
use std::net::TcpStream;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let in_flight: usize = args[2].parse().unwrap();
    let rounds: usize = args[3].parse().unwrap();
    let mut stream = TcpStream::connect(&args[1])?;
    stream.set_nodelay(true)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut frames = Vec::new();
    for i in 0..in_flight {
        frame(&mut frames, format!(r#"{{"jsonrpc":"2.0","method":"math.sum","params":[1,{i}],"id":{i}}}"#).as_bytes());
    }
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..rounds {
        stream.write_all(&frames)?;
        let mut answered = 0;
        let mut filled = 0;
        while answered < in_flight {
            let n = stream.read(&mut buffer[filled..])?;
            assert!(n > 0);
            filled += n;
            let mut at = 0;
            while filled - at >= 2 {
                let len = buffer[at + 1] as usize;
                assert!(len < 126);
                if filled - at < 2 + len { break; }
                at += 2 + len;
                answered += 1;
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
        }
    }
    Ok(())
}

fn frame(out: &mut Vec<u8>, text: &[u8]) {
    out.push(0x81);
    if text.len() < 126 { out.push(0x80 | text.len() as u8); } else { out.push(0x80 | 126); out.extend((text.len() as u16).to_be_bytes()); }
    let mask = [1, 2, 3, 4];
    out.extend(mask);
    out.extend(text.iter().enumerate().map(|(i, b)| b ^ mask[i % 4]));
}
