//! Putting other bytes into a message, with all lengths around them made right. What is not changed
//! stays byte for byte.

use std::ops::Range;

use super::wire::{self, Broken, Fields};

/// Other bytes for whole fields, or for nothing: then they come in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// What goes: from the tag of a field to the end of the same or of one behind it.
    pub(super) place: Range<usize>,
    /// What comes.
    pub(super) bytes: Vec<u8>,
}

/// The message with `edits`, which do not overlap.
///
/// # Errors
/// The message is none.
pub(super) fn patched(message: &[u8], mut edits: Vec<Edit>) -> Result<Vec<u8>, Broken> {
    edits.sort_by_key(|edit| (edit.place.start, edit.place.end));
    let more: usize = edits.iter().map(|edit| edit.bytes.len()).sum();
    let mut out = Vec::with_capacity(message.len() + more);
    copy(message, &(0..message.len()), &edits, &mut out)?;
    Ok(out)
}

fn copy(
    bytes: &[u8],
    part: &Range<usize>,
    mut edits: &[Edit],
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    // What was copied so far; the rest up to the next change is copied in one piece.
    let mut copied = part.start;
    let mut fields = Fields::of(bytes, part);
    while let Some((first, others)) = edits.split_first() {
        let field = fields.next()?;
        let end = field.as_ref().map_or(part.end, |field| field.whole.end);
        if field.is_some() && first.place.start >= end {
            continue;
        }
        let start = field.as_ref().map_or(part.end, |field| field.whole.start);
        if first.place.start <= start {
            out.extend_from_slice(bytes.get(copied..first.place.start).unwrap_or_default());
            out.extend_from_slice(&first.bytes);
            copied = first.place.end;
            edits = others;
            fields = Fields::of(bytes, &(copied..part.end));
            continue;
        }
        // They lie within, so that the field is a message.
        let Some(field) = field else { break };
        let inside = edits.partition_point(|edit| edit.place.start < end);
        let (inside, behind) = edits.split_at(inside);
        out.extend_from_slice(bytes.get(copied..start).unwrap_or_default());
        let from = wire::open(out, field.number);
        copy(bytes, &field.content, inside, out)?;
        wire::close(out, from);
        copied = end;
        edits = behind;
    }
    out.extend_from_slice(bytes.get(copied..part.end).unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::wire::put_bytes;
    use super::*;

    /// A message with a message with two texts, and a text behind it.
    fn message() -> Vec<u8> {
        let mut inner = Vec::new();
        put_bytes(&mut inner, 1, b"one");
        put_bytes(&mut inner, 2, b"two");
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &inner);
        put_bytes(&mut out, 3, b"three");
        out
    }

    fn edit(place: Range<usize>, bytes: &[u8]) -> Edit {
        let bytes = bytes.to_vec();
        Edit { place, bytes }
    }

    #[test]
    fn nothing_to_change_changes_nothing() {
        assert_eq!(patched(&message(), Vec::new()).unwrap(), message());
    }

    #[test]
    fn what_is_replaced_taken_out_and_put_in_is_right_in_every_length() {
        let mut other = Vec::new();
        put_bytes(&mut other, 2, &[b'x'; 200]);
        let mut added = Vec::new();
        put_bytes(&mut added, 9, b"new");
        // The texts within begin at 2 and 7, the one behind at 12.
        let edits = vec![edit(12..19, b""), edit(7..12, &other), edit(2..2, &added)];
        let out = patched(&message(), edits).unwrap();
        let mut inner = added.clone();
        put_bytes(&mut inner, 1, b"one");
        inner.extend(&other);
        let mut expected = Vec::new();
        put_bytes(&mut expected, 1, &inner);
        assert_eq!(out, expected);
    }

    #[test]
    fn an_emptied_message_stays_one() {
        let edits = vec![edit(2..7, b""), edit(7..12, b"")];
        let out = patched(&message(), edits).unwrap();
        assert_eq!(out[..2], [0x0A, 0]);
    }
}
