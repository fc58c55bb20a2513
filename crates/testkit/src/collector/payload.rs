//! The message within the body of a request, unpacked up to a bound.

use std::io::Read;

/// Most bytes that a compressed message may become: a few kilobytes of gzip can hold gigabytes.
pub(super) const MAX_MESSAGE: usize = 64 << 20;

/// The message within a gRPC frame, and whether it was compressed.
pub(super) fn grpc_message(body: &[u8], encoding: &str) -> Option<(Vec<u8>, bool)> {
    let (prefix, rest) = body.split_first_chunk::<5>()?;
    let [flag, length @ ..] = *prefix;
    let message = rest.get(..usize::try_from(u32::from_be_bytes(length)).ok()?)?;
    if flag == 0 {
        return Some((message.to_vec(), false));
    }
    (encoding == "gzip")
        .then(|| gunzip(message, MAX_MESSAGE))?
        .map(|plain| (plain, true))
}

/// The message that is the body, and whether it was compressed.
pub(super) fn http_message(body: &[u8], encoding: &str) -> Option<(Vec<u8>, bool)> {
    match encoding {
        "" | "identity" => Some((body.to_vec(), false)),
        "gzip" => gunzip(body, MAX_MESSAGE).map(|plain| (plain, true)),
        _ => None,
    }
}

fn gunzip(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = flate2::read::GzDecoder::new(bytes).take(bound);
    reader.read_to_end(&mut plain).ok()?;
    (plain.len() <= most).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[0; 1000]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 100);
        assert_eq!(gunzip(&bomb, 1000), Some(vec![0; 1000]));
        assert_eq!(gunzip(&bomb, 999), None);
        assert_eq!(http_message(b"plain", ""), Some((b"plain".to_vec(), false)));
    }
}
