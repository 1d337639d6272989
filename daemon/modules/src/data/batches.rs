//! Files in batches of items, in constant memory: one batch, and one item ahead to know which batch is the last.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sloth_lua::{Call, Ctx, Data, Failure, Reply};

use super::array::Array;
use super::table::{reader, row, wrong};
use crate::describe::{count, give};
use crate::documents::json;

/// Longest single item, bytes.
pub(super) const ITEM_MAX: usize = 16 << 20;

/// Items of one batch.
const SIZE_MAX: usize = 1_000_000;

/// Files that are being read at once.
const OPEN_MAX: usize = 256;

type Items = Box<dyn Iterator<Item = Result<Data, String>> + Send>;

/// A file that is being read.
struct Batches {
    path: String,
    items: Items,
    ahead: Option<Result<Data, String>>,
    size: usize,
    done: usize,
    id: usize,
    owner: Weak<Ctx>,
}

type Table = HashMap<usize, Arc<Mutex<Batches>>>;

static OPEN: Mutex<(usize, Option<Table>)> = Mutex::new((0, None));

fn with_table<T>(work: impl FnOnce(&mut usize, &mut Table) -> T) -> T {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (next, table) = &mut *open;
    work(next, table.get_or_insert_with(HashMap::new))
}

/// `_open`: a number under which batches are read.
pub(super) fn open(call: Call) -> Reply {
    let path = call.ctx.resolve(&call.args.text("file")?);
    let size = count(&call.args, "size", SIZE_MAX)?.max(1);
    let skip = call.args.int("offset").map_or(0, |offset| usize::try_from(offset).unwrap_or(0));
    let named = |message: String| Failure::new(format!("{}: {message}", path.display()));
    let format = format_of(&path, call.args.opt_text("format").as_deref())?;
    let separator = super::separator(&call.args)?;
    let file = File::open(&path).map_err(|error| named(error.to_string()))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(named("is a directory".into()));
    }
    let mut items = items(BufReader::with_capacity(64 << 10, file), &format, separator).map_err(named)?;
    let mut skipped = 0;
    while skipped < skip {
        match items.next() {
            None => break,
            Some(item) => drop(item.map_err(named)?),
        }
        skipped += 1;
    }
    let ahead = items.next();
    let batches = Batches {
        path: path.display().to_string(),
        items,
        ahead,
        size,
        done: skipped,
        id: 0,
        owner: Arc::downgrade(&call.ctx),
    };
    let number = with_table(|next, table| {
        // Those of tasks that are over.
        table.retain(|_, open| open.try_lock().map_or(true, |open| open.owner.strong_count() > 0));
        if table.len() >= OPEN_MAX {
            return Err(Failure::new(format!("{OPEN_MAX} files are being read in batches already")));
        }
        *next += 1;
        table.insert(*next, Arc::new(Mutex::new(batches)));
        Ok(*next)
    })?;
    give(number as u64)
}

/// `_next`: the next batch; nil at the end.
pub(super) fn next(call: Call) -> Reply {
    let number = count(&call.args, "number", usize::MAX)?;
    let Some(batches) = with_table(|_, table| table.get(&number).cloned()) else { return give(Data::Nil) };
    let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).next();
    if !matches!(batch, Ok(Some(_))) {
        close(number);
    }
    give(batch?)
}

/// `_close`: forgets a file.
pub(super) fn close(number: usize) {
    with_table(|_, table| table.remove(&number));
}

impl Batches {
    fn next(&mut self) -> Result<Option<Data>, Failure> {
        let mut items = Vec::new();
        while items.len() < self.size {
            match self.ahead.take() {
                None => break,
                Some(Err(error)) => return Err(Failure::new(format!("{}: {error}", self.path))),
                Some(Ok(item)) => items.push(item),
            }
            self.ahead = self.items.next();
        }
        if items.is_empty() {
            return Ok(None);
        }
        let (offset, size) = (self.done, items.len());
        self.done += size;
        self.id += 1;
        Ok(Some(Data::map([
            ("id", Data::from(self.id as u64)),
            ("items", Data::List(items)),
            ("offset", Data::from(offset as u64)),
            ("size", Data::from(size as u64)),
            ("last", Data::Bool(self.ahead.is_none())),
        ])))
    }
}

fn format_of(path: &Path, wanted: Option<&str>) -> Result<String, Failure> {
    let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let format = match wanted.unwrap_or("auto") {
        "auto" => match suffix.as_str() {
            "jsonl" | "ndjson" => "jsonl",
            "csv" | "tsv" => "csv",
            "json" => "json",
            _ => "text",
        },
        "json array" => "json",
        "lines" => "text",
        other => other,
    };
    if matches!(format, "jsonl" | "csv" | "json" | "text") {
        Ok(format.to_owned())
    } else {
        Err(Failure::argument("format", format_args!("auto, jsonl, csv, json or text expected, got {format:?}")))
    }
}

fn items(mut file: BufReader<File>, format: &str, separator: u8) -> Result<Items, String> {
    Ok(match format {
        "csv" => {
            let mut reader = reader(file, separator, true);
            let names = reader.byte_headers().map_err(|error| wrong(error).message)?.clone();
            Box::new(reader.into_byte_records().map(move |record| match record {
                Ok(record) => Ok(row(&record, Some(&names))),
                Err(error) => Err(wrong(error).message),
            }))
        }
        "json" => {
            let array = Array::begin(file)?;
            Box::new(array)
        }
        format => {
            let json = format == "jsonl";
            let mut number = 0;
            Box::new(std::iter::from_fn(move || {
                loop {
                    number += 1;
                    let line = match line(&mut file) {
                        Ok(line) => line?,
                        Err(error) => return Some(Err(format!("{error} at line {number}"))),
                    };
                    if !json {
                        return Some(Ok(Data::Str(line)));
                    }
                    if line.iter().all(u8::is_ascii_whitespace) {
                        continue;
                    }
                    return Some(json::decode(&line, false).map_err(|error| format!("item of line {number}: {error}")));
                }
            }))
        }
    })
}

/// A line without its end; `None` at the end of the file.
fn line(file: &mut BufReader<File>) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    let read = file.take(ITEM_MAX as u64 + 1).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() > ITEM_MAX {
        return Err(format!("a line is longer than {ITEM_MAX} bytes"));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Caller;
    use sloth_lua::Args;

    fn read(name: &str, text: &[u8], args: Args) -> Result<Vec<Data>, String> {
        let caller = Caller::new();
        std::fs::write(caller.work().join(name), text).unwrap();
        let number = open(caller.call(args.with("file", name))).map_err(|failure| failure.message)?.remove(0);
        let mut batches = Vec::new();
        loop {
            let call = caller.call(Args::default().with("number", number.clone()));
            match next(call).map_err(|failure| failure.message.rsplit('/').next().unwrap().to_owned())?.remove(0) {
                Data::Nil => return Ok(batches),
                batch => batches.push(batch),
            }
        }
    }

    fn of(size: f64) -> Args {
        Args::default().with("size", size)
    }

    fn shape(batches: &[Data]) -> Vec<(f64, f64, f64, bool)> {
        let number = |batch: &Data, name: &str| match batch.get(name) {
            Some(Data::Num(number)) => *number,
            other => panic!("{other:?}"),
        };
        batches
            .iter()
            .map(|b| {
                (number(b, "id"), number(b, "offset"), number(b, "size"), b.get("last") == Some(&Data::Bool(true)))
            })
            .collect()
    }

    /// "iterator of {id (from 1), items, offset, size, last}".
    #[test]
    fn every_format_gives_its_items() {
        for (name, text) in [
            ("a.jsonl", &b"{\"n\":1}\n\n{\"n\":2}\r\n{\"n\":3}"[..]),
            ("a.csv", b"n\n1\n2\n3\n"),
            ("a.json", b" [ {\"n\":1} , {\"n\" : 2},{\"n\":3}\n] "),
            ("a.txt", b"one\ntwo\nthree\n"),
        ] {
            let batches = read(name, text, of(2.0)).unwrap();
            assert_eq!(shape(&batches), [(1.0, 0.0, 2.0, false), (2.0, 2.0, 1.0, true)], "{name}");
        }
        let exact = read("a.txt", b"1\n2\n", of(2.0)).unwrap();
        assert_eq!(shape(&exact), [(1.0, 0.0, 2.0, true)], "no empty batch at the end");
        assert!(read("a.txt", b"", of(2.0)).unwrap().is_empty() && read("a.json", b"[]", of(2.0)).unwrap().is_empty());
    }

    #[test]
    fn an_array_of_anything() {
        let text = br#"["a,]\"[", [1,[2]], {"x":"}"}, -1.5e3, true, null, ""]"#;
        let batches = read("a.json", text, of(100.0)).unwrap();
        let Some(Data::List(items)) = batches[0].get("items") else { panic!("{batches:?}") };
        let expected = r#"["a,]\"[",[1,[2]],{"x":"}"},-1500,true,null,""]"#;
        assert_eq!(json::encode(&Data::List(items.clone()), crate::documents::Style::default()).unwrap(), expected);
    }

    /// A checkpoint keeps `offset`; reading goes on there.
    #[test]
    fn reading_goes_on_at_an_offset() {
        let batches = read("a.txt", b"1\n2\n3\n4\n", of(10.0).with("offset", 3.0)).unwrap();
        assert_eq!(shape(&batches), [(1.0, 3.0, 1.0, true)]);
    }

    #[test]
    fn broken_files_say_where() {
        for (name, text, part) in [
            ("a.jsonl", &b"{}\nx\n"[..], "item of line 2"),
            ("a.csv", b"a,b\n1\n", "1 fields, 2 expected at line 2"),
            ("a.json", b"{}", "a JSON array expected"),
            ("a.json", b"[1,2", "the array has no end"),
            ("a.json", b"[1 2]", "item after byte 1"),
            ("a.json", b"[1,]", "item after byte 2"),
            ("a.json", b"[1]x", "something follows"),
        ] {
            let error = read(name, text, of(1.0)).unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
        let huge = vec![b'x'; ITEM_MAX + 2];
        assert!(read("a.txt", &huge, of(1.0)).unwrap_err().contains("longer than"));
        assert!(read("a.txt", b"", of(1.0).with("format", "xml")).unwrap_err().contains("format"));
    }

    #[test]
    fn those_of_tasks_that_are_over_are_forgotten() {
        let forgotten = Caller::new();
        std::fs::write(forgotten.work().join("f"), "1\n2\n").unwrap();
        for _ in 0..OPEN_MAX * 2 {
            let caller = Caller::new();
            let path = forgotten.work().join("f").display().to_string();
            open(caller.call(of(1.0).with("file", path))).unwrap();
        }
    }
}
