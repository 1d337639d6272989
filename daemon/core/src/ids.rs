//! Identities. Each kind of thing has a type of its own, so that one cannot be passed for another.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;

use uuid::Uuid;

use crate::Moment;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A UUIDv7 (RFC 9562) of this millisecond; `random` fills the other 74 bits.
            pub fn v7(now: Moment, random: u128) -> Self {
                let mut bytes = [0; 10];
                bytes.copy_from_slice(&random.to_be_bytes()[6..]);
                let ms = u64::try_from(now.millis()).unwrap_or(0);
                $name(uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid())
            }

            /// The 16 bytes.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map($name)
            }
        }
    };
}

id!(/** A schedule, for ever: a deleted name that is added again is another schedule. */ ScheduleId);
id!(/** One execution of a command or workflow. */ RunId);
id!(/** One row of the event feed. */ EventId);

/// The operating system's number of a user; who owns a schedule or asked for something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Uid(pub u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A table by id. Ids are made here and mostly of chance, so nobody can choose them to collide: a cheap hash will do.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Multiplies and folds, as in wyhash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let product = u128::from(self.0 ^ u64::from_le_bytes(word)) * 0x9e37_79b9_7f4a_7c15_u128;
            self.0 = (product >> 64) as u64 ^ product as u64;
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length of an id tells nothing.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One try of a run; `attempt` counts from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// Number of the try, from 1.
    pub attempt: u32,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.attempt)
    }
}
