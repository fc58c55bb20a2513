use std::io::Write as _;

use super::*;

fn share(most: usize) -> (Arc<Memory>, Share) {
    let memory = Arc::new(Memory::new(most));
    let share = memory.share();
    (memory, share)
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

fn zstd(bytes: &[u8]) -> Bytes {
    zstd::encode_all(bytes, 3).unwrap().into()
}

#[test]
fn what_was_packed_is_unpacked() {
    let plain = b"spans ".repeat(1000);
    for (packed, packing) in [(gzip(&plain), Packing::Gzip), (zstd(&plain), Packing::Zstd)] {
        let (_, mut share) = share(1 << 20);
        let unpacked = unpacked(packed, packing, 10_000, &mut share).unwrap();
        assert!(unpacked == plain);
        assert_eq!(share.bytes, plain.len());
    }
}

#[test]
fn a_bomb_ends_at_the_bound() {
    let bomb = vec![0; 64 << 20];
    for (packed, packing) in [(gzip(&bomb), Packing::Gzip), (zstd(&bomb), Packing::Zstd)] {
        assert!(packed.len() < 100_000);
        let (_, mut share) = share(1 << 30);
        let refused = unpacked(packed, packing, 1 << 20, &mut share);
        assert_eq!(refused.unwrap_err(), Refusal::TooLarge(1 << 20));
        assert!(share.bytes <= 1 << 20, "no more was held");
    }
}

#[test]
fn what_is_not_packed_as_it_says_is_refused() {
    for packing in [Packing::Gzip, Packing::Zstd] {
        let (_, mut share) = share(1 << 20);
        let refused = unpacked(Bytes::from_static(b"spans"), packing, 100, &mut share);
        assert_eq!(refused.unwrap_err(), Refusal::Unpackable);
        let mut cut = match packing {
            Packing::Gzip => gzip(&[7; 5000]),
            _ => zstd(&[7; 5000]),
        };
        cut.truncate(cut.len() - 3);
        assert_eq!(
            unpacked(cut, packing, 10_000, &mut share).unwrap_err(),
            Refusal::Unpackable
        );
    }
    assert_eq!(Packing::named("br"), Err(Refusal::Packing));
    assert_eq!(Packing::named("GZIP"), Ok(Packing::Gzip));
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together_and_bounded() {
    let pieces = || {
        let pieces = ["one", " ", "two"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        Body::new(Pieces(pieces.into_iter().collect()))
    };
    let (_, mut all) = share(100);
    assert_eq!(read(pieces(), 100, &mut all).await.unwrap(), "one two");
    let (_, mut few) = share(100);
    assert_eq!(read(pieces(), 5, &mut few).await, Err(Refusal::TooLarge(5)));
    let (memory, mut poor) = share(4);
    assert_eq!(read(pieces(), 100, &mut poor).await, Err(Refusal::Busy));
    drop(poor);
    assert_eq!(memory.held.load(Ordering::Relaxed), 0, "all was given back");
}

/// Bodies that come piece by piece.
struct Pieces(std::collections::VecDeque<Result<Bytes, std::io::Error>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        let next = self.0.pop_front();
        std::task::Poll::Ready(next.map(|piece| piece.map(hyper::body::Frame::data)))
    }
}
