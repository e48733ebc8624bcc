//! Keys, from the bytes that a terminal sends for them. It reads no terminal.

/// A key. Those that do nothing have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Control(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    F1,
}

const ESCAPE: u8 = 0x1b;

/// What the first bytes are.
enum First {
    /// This many bytes, and the key if it does something.
    Whole(usize, Option<Key>),
    /// More have to come.
    Begun,
}

/// Takes the keys that are whole. What is left are the first bytes of one, which the key Escape alone
/// is as well: if nothing follows, `is_all` is set.
pub(super) fn take(bytes: &mut Vec<u8>, is_all: bool) -> Vec<Key> {
    let (mut keys, mut taken) = (Vec::new(), 0);
    while let Some(rest @ [byte, ..]) = bytes.get(taken..) {
        let (length, key) = match first(rest) {
            First::Whole(length, key) => (length, key),
            First::Begun if !is_all => break,
            First::Begun => (1, (*byte == ESCAPE).then_some(Key::Escape)),
        };
        keys.extend(key);
        taken += length;
    }
    bytes.drain(..taken);
    keys
}

fn first(bytes: &[u8]) -> First {
    match *bytes {
        [] | [ESCAPE] | [ESCAPE, b'O'] => First::Begun,
        // `ESC [`, or from the console of Linux `ESC [ [`, or with the keypad in another mode `ESC O`.
        [ESCAPE, b'[', b'[', ref rest @ ..] => match rest {
            [] => First::Begun,
            [byte, ..] => First::Whole(4, (*byte == b'A').then_some(Key::F1)),
        },
        [ESCAPE, b'[', ref rest @ ..] => sequence(rest),
        [ESCAPE, b'O', byte, ..] => First::Whole(3, named(byte)),
        // Any other key after it is one of its own: Esc, and then that.
        [ESCAPE, ..] => First::Whole(1, Some(Key::Escape)),
        [b'\r' | b'\n', ..] => First::Whole(1, Some(Key::Enter)),
        [0x7f | 0x08, ..] => First::Whole(1, Some(Key::Backspace)),
        [byte @ 1..=26, ..] => First::Whole(1, Some(Key::Control(char::from(byte - 1 + b'a')))),
        [byte, ..] if byte < b' ' => First::Whole(1, None),
        _ => character(bytes),
    }
}

/// What follows `ESC [`: parameters, and a letter that ends it.
fn sequence(rest: &[u8]) -> First {
    let Some(end) = rest.iter().position(|byte| !(b' '..=b'?').contains(byte)) else { return First::Begun };
    let (parameters, last) = (&rest[..end], rest[end]);
    if !(b'@'..=b'~').contains(&last) {
        // It is broken off. What does not belong to it is looked at next.
        return First::Whole(2 + end, None);
    }
    let key = match last {
        // The first parameter says which key, the second one what is held down with it.
        b'~' => match parameters.split(|byte| *byte == b';').next() {
            Some(b"1" | b"7") => Some(Key::Home),
            Some(b"4" | b"8") => Some(Key::End),
            Some(b"5") => Some(Key::PageUp),
            Some(b"6") => Some(Key::PageDown),
            Some(b"11") => Some(Key::F1),
            _ => None,
        },
        last => named(last),
    };
    First::Whole(2 + end + 1, key)
}

fn named(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'P' => Key::F1,
        b'M' => Key::Enter,
        _ => return None,
    })
}

fn character(bytes: &[u8]) -> First {
    // A character has four bytes at most.
    let bytes = &bytes[..bytes.len().min(4)];
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(error) if error.error_len().is_none() => return First::Begun,
        Err(_) => "",
    };
    match text.chars().next() {
        Some(c) => First::Whole(c.len_utf8(), Some(Key::Char(c))),
        // Not text.
        None => First::Whole(1, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_however_they_arrive() {
        let all = "q\x1b[A\x1b[1;5B\x1bOC\x1bOD\x1b[5~\x1b[6;2~\x1b[1~\x1b[F\x1bOP\x1b[[A\r\x7f\x03ö界\x1b[200~x\x1bq";
        let expected = [
            Key::Char('q'),
            Key::Up,
            Key::Down,
            Key::Right,
            Key::Left,
            Key::PageUp,
            Key::PageDown,
            Key::Home,
            Key::End,
            Key::F1,
            Key::F1,
            Key::Enter,
            Key::Backspace,
            Key::Control('c'),
            Key::Char('ö'),
            Key::Char('界'),
            Key::Char('x'),
            Key::Escape,
            Key::Char('q'),
        ];
        let mut bytes = all.as_bytes().to_vec();
        assert_eq!(take(&mut bytes, false), expected);
        assert!(bytes.is_empty());
        // Byte by byte.
        let each = all.bytes().flat_map(|byte| {
            bytes.push(byte);
            take(&mut bytes, false)
        });
        assert_eq!(each.collect::<Vec<_>>(), expected);
        assert!(bytes.is_empty());
    }

    #[test]
    fn escape_is_a_key_if_nothing_follows() {
        let mut bytes = b"\x1b".to_vec();
        assert_eq!(take(&mut bytes, false), []);
        assert_eq!(take(&mut bytes, true), [Key::Escape]);
        assert!(bytes.is_empty());
    }

    #[test]
    fn no_bytes_are_kept_for_ever_and_none_are_too_many() {
        let mut value: u32 = 7;
        for round in 0..20_000_u32 {
            let mut bytes: Vec<u8> = (0..round % 9)
                .map(|_| {
                    value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"\x1b[O;1~AMz\xc3\xbc\xff\x00\x1b?"[usize::try_from(value >> 24).expect("small") % 15]
                })
                .collect();
            take(&mut bytes, false);
            take(&mut bytes, true);
            assert!(bytes.is_empty(), "{bytes:?}");
        }
    }
}
