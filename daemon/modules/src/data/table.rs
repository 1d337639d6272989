//! Tables as text: CSV and INI.

use sloth_lua::{Data, Failure};

/// Reads CSV: a map per line by the names of the first, or a list per line.
pub(super) fn csv_parse(text: &[u8], separator: u8, header: bool) -> Result<Data, Failure> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = reader(text, separator, header);
    let names = if header { Some(reader.byte_headers().map_err(wrong)?.clone()) } else { None };
    let rows =
        reader.into_byte_records().map(|record| record.map(|record| row(&record, names.as_ref())).map_err(wrong));
    Ok(Data::List(rows.collect::<Result<_, _>>()?))
}

pub(super) fn reader<R: std::io::Read>(source: R, separator: u8, header: bool) -> csv::Reader<R> {
    csv::ReaderBuilder::new().delimiter(separator).has_headers(header).from_reader(source)
}

/// A line as a map by names, or as a list.
pub(super) fn row(record: &csv::ByteRecord, names: Option<&csv::ByteRecord>) -> Data {
    match names {
        None => Data::List(record.iter().map(|field| Data::Str(field.to_vec())).collect()),
        Some(names) => Data::Map(
            names
                .iter()
                .zip(record)
                .map(|(name, field)| (String::from_utf8_lossy(name).into_owned(), Data::Str(field.to_vec())))
                .collect(),
        ),
    }
}

pub(super) fn wrong(error: csv::Error) -> Failure {
    let place = error.position().map(|place| format!(" at line {}", place.line())).unwrap_or_default();
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} fields, {expected_len} expected"),
        _ => error.to_string(),
    };
    Failure::new(format!("csv: {what}{place}"))
}

/// Writes CSV. Rows that are maps get a first line with `columns`, or with all their names in order.
pub(super) fn csv_generate(rows: &[Data], separator: u8, columns: Option<Vec<String>>) -> Result<String, Failure> {
    let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
    let mut names: Vec<String> = columns.clone().unwrap_or_default();
    if columns.is_none() {
        for row in rows {
            if let Data::Map(entries) = row {
                names.extend(entries.iter().map(|(name, _)| name.clone()));
            }
        }
        names.sort();
        names.dedup();
    }
    if !names.is_empty() {
        writer.write_record(&names).map_err(wrong)?;
    }
    for (index, row) in rows.iter().enumerate() {
        let fields: Vec<Vec<u8>> = match row {
            Data::List(items) => items.iter().map(|item| field(item, index)).collect::<Result<_, _>>()?,
            Data::Map(_) => names
                .iter()
                .map(|name| row.get(name).map_or_else(|| Ok(Vec::new()), |item| field(item, index)))
                .collect::<Result<_, _>>()?,
            other => return Err(Failure::new(format!("csv: row {} is a {}", index + 1, other.type_name()))),
        };
        writer.write_record(&fields).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::new(format!("csv: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Failure::new("csv: a field is not valid UTF-8"))
}

fn field(value: &Data, row: usize) -> Result<Vec<u8>, Failure> {
    match value {
        Data::Nil | Data::Null => Ok(Vec::new()),
        Data::Bool(value) => Ok(value.to_string().into_bytes()),
        Data::Str(bytes) => Ok(bytes.clone()),
        other => other
            .to_text()
            .map(String::into_bytes)
            .ok_or_else(|| Failure::new(format!("csv: row {} holds a {}", row + 1, other.type_name()))),
    }
}

/// Reads INI: names before the first section are members of the table, sections are tables in it.
pub(super) fn ini_decode(text: &str) -> Result<Data, Failure> {
    let mut top: Vec<(String, Data)> = Vec::new();
    let mut section: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.strip_suffix(']').ok_or_else(|| bad_line(index, "a section without `]`"))?;
            section = Some(name.trim().to_owned());
            if !top.iter().any(|(known, _)| known == name.trim()) {
                top.push((name.trim().to_owned(), Data::Map(Vec::new())));
            }
            continue;
        }
        let (name, value) = match line.split_once(['=', ':']) {
            Some((name, value)) if !name.trim().is_empty() => (name.trim(), value.trim()),
            _ => return Err(bad_line(index, "`name = value` expected")),
        };
        let entries = match &section {
            None => &mut top,
            Some(section) => match top.iter_mut().find(|(known, _)| known == section) {
                Some((_, Data::Map(entries))) => entries,
                _ => return Err(bad_line(index, "a section has the name of a value")),
            },
        };
        entries.retain(|(known, _)| known != name);
        entries.push((name.to_owned(), Data::text(unquoted(value))));
    }
    Ok(Data::Map(top))
}

fn bad_line(index: usize, what: &str) -> Failure {
    Failure::new(format!("ini: {what} at line {}", index + 1))
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            if let Some((inner, _)) = inner.split_once(quote) {
                return inner.to_owned();
            }
        }
    }
    // A comment begins after a blank, so that `a#b` and URLs stay whole.
    let end = [" ;", " #", "\t;", "\t#"].iter().filter_map(|mark| value.find(mark)).min().unwrap_or(value.len());
    value[..end].trim_end().to_owned()
}

/// Writes INI.
pub(super) fn ini_encode(value: &Data) -> Result<String, Failure> {
    let Data::Map(entries) = value else {
        return Err(Failure::new(format!("ini: table with names expected, got {}", value.type_name())));
    };
    let mut text = String::new();
    for (name, value) in entries.iter().filter(|(_, value)| !matches!(value, Data::Map(_))) {
        ini_line(&mut text, name, value)?;
    }
    for (section, value) in entries {
        let Data::Map(members) = value else { continue };
        if section.contains([']', '\n']) {
            return Err(Failure::new(format!("ini: {section:?} cannot be the name of a section")));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[{section}]\n"));
        for (name, value) in members {
            ini_line(&mut text, name, value)?;
        }
    }
    Ok(text)
}

fn ini_line(text: &mut String, name: &str, value: &Data) -> Result<(), Failure> {
    let shown = match value {
        Data::Bool(value) => value.to_string(),
        Data::Nil | Data::Null => String::new(),
        value => value.to_text().ok_or_else(|| Failure::new(format!("ini: `{name}` is a {}", value.type_name())))?,
    };
    if shown.contains('\n') || name.contains(['=', ':', '\n', '[']) || name.is_empty() {
        return Err(Failure::new(format!("ini: `{name}` cannot be written on one line")));
    }
    let plain = shown.trim() == shown && unquoted(&shown) == shown;
    let quote = if shown.contains('"') { '\'' } else { '"' };
    if plain {
        text.push_str(&format!("{name} = {shown}\n"));
    } else if shown.contains(quote) {
        return Err(Failure::new(format!("ini: `{name}` holds both kinds of quotes")));
    } else {
        text.push_str(&format!("{name} = {quote}{shown}{quote}\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_there_and_back() {
        let text = "a,b\n1,\"x,\"\"y\"\"\"\n2,\n";
        let rows = csv_parse(text.as_bytes(), b',', true).unwrap();
        let Data::List(items) = &rows else { panic!("{rows:?}") };
        assert_eq!(items[0].get("b"), Some(&Data::text("x,\"y\"")));
        assert_eq!(csv_generate(items, b',', None).unwrap(), text);
        let lists = csv_parse(b"1;2\n3;4\n", b';', false).unwrap();
        assert_eq!(lists, Data::List(vec![Data::texts(["1", "2"]), Data::texts(["3", "4"])]));
        let error = csv_parse(b"a,b\n1,2\n1,2,3\n", b',', true).unwrap_err().message;
        assert_eq!(error, "csv: 3 fields, 2 expected at line 3");
        let chosen = csv_generate(items, b',', Some(vec!["b".into()])).unwrap();
        assert_eq!(chosen, "b\n\"x,\"\"y\"\"\"\n\"\"\n");
        assert!(csv_generate(&[Data::Num(1.0)], b',', None).unwrap_err().message.contains("row 1"));
    }

    #[test]
    fn ini_there_and_back() {
        let text = "top = 1\n\n[a b]\nurl = http://x/#y\nq = \" spaced \"\ns = \"a ; b\"\n";
        let value = ini_decode(text).unwrap();
        assert_eq!(value.get("a b").unwrap().get("q"), Some(&Data::text(" spaced ")));
        assert_eq!(ini_encode(&value).unwrap(), text);
        let value = ini_decode("; c\n# c\nx: y ; comment\n[s]\nk=1\n[s]\nk=2\n").unwrap();
        assert_eq!(value.get("x"), Some(&Data::text("y")));
        assert_eq!(value.get("s").unwrap().get("k"), Some(&Data::text("2")));
        assert!(ini_decode("a = 1\nnonsense\n").unwrap_err().message.contains("line 2"));
        assert!(ini_encode(&Data::map([("a", Data::text("x\ny"))])).is_err());
    }
}
