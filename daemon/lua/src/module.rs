//! Library modules as data: one description gives the calling forms, the errors, the documentation and the editor types.

use std::sync::Arc;

use crate::data::Data;
use crate::host::{BoxFuture, Ctx};

/// A library module.
pub struct Module {
    /// Its global name.
    pub name: &'static str,
    /// Other global names of the same table.
    pub aliases: &'static [&'static str],
    /// Whether this build has it.
    pub tier: Tier,
    /// One sentence.
    pub about: &'static str,
    /// What it has.
    pub functions: &'static [Function],
    /// Luau source, evaluated when the module loads, that adds functions which need callbacks: it is called with the
    /// module's table and returns nothing.
    pub prelude: &'static str,
}

/// Whether a module works in this build. One that does not answers every call with a clear failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Works.
    Here,
    /// Known, not in this build.
    Absent,
}

/// A function of a module.
pub struct Function {
    /// Name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// Positional arguments, in order; each may also be given by name in one table.
    pub params: &'static [Param],
    /// Options: by name only, in a table as the last argument or in the one table.
    pub options: &'static [Param],
    /// Further positional arguments of any type are kept ([`Args::rest`]).
    pub variadic: bool,
    /// How success and failure are returned.
    pub family: Family,
    /// Luau type of what success returns, for documentation and editors, such as `string` or `{size: number}`.
    pub returns: &'static str,
    /// Changes something: in a simulated mode the body must only say what it would do.
    pub mutates: bool,
    /// One sentence.
    pub about: &'static str,
    /// What runs.
    pub body: Body,
}

/// A parameter or option.
pub struct Param {
    /// Name.
    pub name: &'static str,
    /// Other names, in the table form.
    pub aliases: &'static [&'static str],
    /// Type.
    pub kind: Type,
    /// Whether a call without it is an error.
    pub required: bool,
    /// Default as Luau text, for documentation; empty: none.
    pub default: &'static str,
}

/// Types of parameters. Numbers are accepted for strings and numeric strings for numbers; an exec result is a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Anything.
    Any,
    /// A boolean.
    Bool,
    /// A number without fraction.
    Int,
    /// A number.
    Num,
    /// A string.
    Str,
    /// Seconds as a number, or a text such as `1h30m`; handed over as milliseconds.
    Duration,
    /// Bytes as a number, or a text such as `16Mi`; handed over as bytes.
    Size,
    /// A list.
    List,
    /// A table with names.
    Map,
    /// A string or a list of strings.
    StrOrList,
    /// A function of the script; only for bodies in Luau.
    Function,
}

/// Families of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The values; `nil, "message"`.
    V,
    /// `true, info`; `false, "message"`. `info` converts to its message.
    C,
    /// `true, "message", info`; `false, "message", info`.
    M,
    /// An exec result, always, then `err, failed`.
    R,
    /// `info, nil`; `nil, "message"`.
    T,
    /// A boolean, then a text.
    P,
    /// The values as they are; a failure is raised.
    Raw,
}

/// What runs when a function is called.
#[derive(Clone, Copy)]
pub enum Body {
    /// At once on the VM's thread: must not wait for anything.
    Pure(fn(&Args) -> Reply),
    /// At once on the VM's thread, with the context: must not wait for anything.
    Now(fn(&Call) -> Reply),
    /// On a thread that may block; the caller's coroutine waits.
    Blocking(fn(Call) -> Reply),
    /// On the I/O runtime; the caller's coroutine waits.
    Async(fn(Call) -> BoxFuture<Reply>),
    /// In the module's prelude.
    Luau,
}

/// Success (for `C` and `T`: the info map; for `M`: message and info; for `R`: the map of the exec result; for `P`:
/// the boolean and its text) or failure.
pub type Reply = Result<Vec<Data>, Failure>;

/// Why a function failed. The message names the object and the cause.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Failure {
    /// One sentence.
    pub message: String,
    /// More, for family `M`.
    pub info: Data,
    /// Kind of task failure, when it is not `error`.
    pub kind: Option<&'static str>,
    /// Raised even where the family returns failures: wrong arguments.
    pub raise: bool,
}

impl Failure {
    /// A failure.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), ..Failure::default() }
    }

    /// A wrong argument: raised.
    pub fn argument(name: &str, message: impl std::fmt::Display) -> Failure {
        Failure { message: format!("bad argument '{name}' ({message})"), raise: true, ..Failure::default() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(error.to_string())
    }
}

/// One call.
#[derive(Clone)]
pub struct Call {
    /// Its arguments, checked against the function's parameters.
    pub args: Args,
    /// Who calls.
    pub ctx: Arc<Ctx>,
}

/// Arguments by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    named: Vec<(&'static str, Data)>,
    /// Further positional arguments of a variadic function.
    pub rest: Vec<Data>,
}

impl Args {
    /// Adds one; `name` is that of the parameter, not an alias.
    pub fn with(mut self, name: &'static str, value: impl Into<Data>) -> Args {
        self.named.retain(|(known, _)| *known != name);
        self.named.push((name, value.into()));
        self
    }

    /// A text that is the same for the same arguments in any order.
    pub fn digest(&self) -> String {
        let mut named: Vec<_> = self.named.iter().filter(|(_, value)| *value != Data::Nil).collect();
        named.sort_by_key(|(name, _)| *name);
        let mut hash = Fnv::default();
        hash.write(format!("{named:?}{:?}", self.rest).as_bytes());
        format!("{:032x}", hash.0)
    }

    /// The value, `None` when absent or nil.
    pub fn get(&self, name: &str) -> Option<&Data> {
        self.named.iter().find(|(known, value)| *known == name && *value != Data::Nil).map(|(_, value)| value)
    }

    /// A required text.
    pub fn text(&self, name: &str) -> Result<String, Failure> {
        self.opt_text(name).ok_or_else(|| Failure::argument(name, "string expected, got nil"))
    }

    /// An optional text.
    pub fn opt_text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Data::to_text)
    }

    /// Required bytes.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        match self.get(name) {
            Some(Data::Str(bytes)) => Ok(bytes.clone()),
            Some(other) => other
                .to_text()
                .map(String::into_bytes)
                .ok_or_else(|| Failure::argument(name, format_args!("string expected, got {}", other.type_name()))),
            None => Err(Failure::argument(name, "string expected, got nil")),
        }
    }

    /// An optional number.
    pub fn num(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Data::Num(number)) => Some(*number),
            Some(Data::Str(bytes)) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
            _ => None,
        }
    }

    /// An optional integer; fractions are cut off.
    #[allow(clippy::cast_possible_truncation)] // saturates
    pub fn int(&self, name: &str) -> Option<i64> {
        self.num(name).map(|number| number as i64)
    }

    /// A switch; absent is false.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Data::Bool(true)))
    }

    /// A switch with a default.
    pub fn flag_or(&self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some(Data::Bool(value)) => *value,
            _ => default,
        }
    }

    /// A string, or the strings of a list.
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Data::List(items)) => items.iter().filter_map(Data::to_text).collect(),
            Some(other) => other.to_text().into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// FNV-1a with 128 bits (draft-eastlake-fnv): tells arguments apart; nobody gains by a collision with their own calls.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
