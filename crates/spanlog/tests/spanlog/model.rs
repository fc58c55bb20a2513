//! Any sequence of appends, rotations and crashes, against a list of what was acknowledged.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use longshore_spanlog::{Class, Frame, Position, Reader, Writer, WriterOptions};
use longshore_testkit::ManualClock;
use proptest::prelude::*;

use crate::support::{Folder, header, rest_of};

#[derive(Clone, Debug)]
enum Op {
    Append {
        class: usize,
        size: usize,
    },
    Rotate,
    Wait(u64),
    Tick,
    /// The frames that a reader which runs along takes.
    Read(usize),
    /// That reader is started again from its position.
    Restart,
    /// The writer dies, and so many bytes at the end of each file it had open are gone.
    Crash {
        cut: u64,
    },
    Close,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0_usize..3, 0_usize..400).prop_map(|(class, size)| Op::Append { class, size }),
        1 => Just(Op::Rotate),
        1 => (0_u64..40).prop_map(Op::Wait),
        1 => Just(Op::Tick),
        3 => (0_usize..6).prop_map(Op::Read),
        1 => Just(Op::Restart),
        1 => (0_u64..500).prop_map(|cut| Op::Crash { cut }),
        1 => Just(Op::Close),
    ]
}

struct World {
    folder: Folder,
    clock: Arc<ManualClock>,
    writer: Option<Writer>,
    reader: Reader,
    /// What was acknowledged and is there, by where it begins.
    written: BTreeMap<Position, (Class, Vec<u8>)>,
    /// What the reader that runs along has given.
    read: BTreeMap<Position, Vec<u8>>,
    number: u32,
}

impl World {
    fn new() -> Self {
        let folder = Folder::new();
        let reader = Reader::open(folder.path()).unwrap();
        Self {
            folder,
            clock: Arc::new(ManualClock::default()),
            writer: None,
            reader,
            written: BTreeMap::new(),
            read: BTreeMap::new(),
            number: 0,
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Append { class, size } => self.append(Class::ALL[class], size),
            Op::Rotate => self.writer().rotate(),
            Op::Wait(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Op::Tick => self.writer().tick().unwrap(),
            Op::Read(most) => {
                for _ in 0..most {
                    let Some(frame) = self.reader.next_frame().unwrap() else {
                        break;
                    };
                    self.note(frame);
                }
            }
            Op::Restart => {
                let progress = self.reader.progress();
                self.reader = Reader::resume(self.folder.path(), &progress).unwrap();
            }
            Op::Crash { cut } => self.crash(cut),
            Op::Close => self.writer = None,
        }
    }

    fn writer(&mut self) -> &mut Writer {
        let options = WriterOptions {
            max_file_bytes: 900,
            max_file_age: Duration::from_secs(60),
            ..WriterOptions::default()
        };
        let (folder, clock) = (&self.folder, &self.clock);
        self.writer
            .get_or_insert_with(|| folder.writer_with(options, clock))
    }

    fn append(&mut self, class: Class, size: usize) {
        self.number += 1;
        let number = self.number;
        let mut body = number.to_le_bytes().to_vec();
        body.resize(4 + size, 0xd7);
        let position = self.writer().append(&header(class, number), &body).unwrap();
        self.written.insert(position, (class, body));
    }

    fn note(&mut self, frame: Frame) {
        let twice = self.read.insert(frame.position, frame.body);
        assert_eq!(twice, None, "{} was given twice", frame.position);
    }

    /// Replaces the folder by what a crash leaves, so that the writer's locks are gone.
    fn crash(&mut self, cut: u64) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        let before = self.folder.logs();
        let crashed = self.folder.crashed();
        let mut newest = BTreeMap::new();
        for path in before {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let class = name.rsplit_once('-').unwrap().1.to_owned();
            if name.contains(&writer.id().to_string()) {
                newest.insert(class, name);
            }
        }
        for name in newest.into_values() {
            let path = crashed.path().join(&name);
            let len = fs::metadata(&path).unwrap().len().saturating_sub(cut);
            fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(len)
                .unwrap();
            self.written.retain(|position, (_, body)| {
                let end = position.offset + 48 + body.len() as u64;
                position.file.to_string() != name || end <= len
            });
        }
        let progress = self.reader.progress();
        self.reader = Reader::resume(crashed.path(), &progress).unwrap();
        self.folder = crashed;
    }

    fn check(mut self) {
        let expected: BTreeMap<Position, Vec<u8>> = self
            .written
            .iter()
            .map(|(position, (_, body))| (*position, body.clone()))
            .collect();
        let (frames, counts) = self.folder.read();
        let mut last = BTreeMap::new();
        for frame in &frames {
            let lane = (frame.position.file.writer(), frame.header.class);
            let before = last.insert(lane, frame.position);
            assert!(before < Some(frame.position), "out of order");
        }
        let all: BTreeMap<Position, Vec<u8>> = frames
            .into_iter()
            .map(|frame| (frame.position, frame.body))
            .collect();
        assert_eq!(all, expected);
        assert_eq!(counts.damaged_bytes, 0);
        for frame in rest_of(&mut self.reader) {
            self.note(frame);
        }
        // What it had read before a crash took it back is no loss.
        self.read
            .retain(|position, _| expected.contains_key(position));
        assert_eq!(self.read, expected);
    }
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_acknowledged(ops in proptest::collection::vec(any_op(), 0..60)) {
        let mut world = World::new();
        for op in &ops {
            world.run(op);
        }
        world.check();
    }
}
