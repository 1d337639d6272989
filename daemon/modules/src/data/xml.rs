//! XML as tables. An element with text alone is that text; otherwise a table with its children by name (a list where a
//! name repeats), its attributes as `@name` and its text as `#text`. Entities other than the predefined ones are errors,
//! so that nothing is expanded or fetched.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use sloth_lua::{Data, Failure};

use crate::documents::toml::line_column;
use crate::documents::{DEPTH_MAX, TEXT_MAX};

#[derive(Default)]
struct Element {
    name: String,
    members: Vec<(String, Data)>,
    text: String,
}

impl Element {
    fn add(&mut self, name: &str, value: Data) {
        match self.members.iter_mut().find(|(known, _)| known == name) {
            None => self.members.push((name.to_owned(), value)),
            Some((_, Data::List(items))) => items.push(value),
            Some((_, first)) => *first = Data::List(vec![std::mem::take(first), value]),
        }
    }

    fn value(mut self) -> Data {
        let text = self.text.trim();
        if self.members.is_empty() {
            return Data::text(text);
        }
        if !text.is_empty() {
            self.members.push(("#text".into(), Data::text(text)));
        }
        Data::Map(self.members)
    }
}

/// Reads a document: a table with the root element.
pub(super) fn decode(bytes: &[u8]) -> Result<Data, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::new("xml: not valid UTF-8"))?;
    if text.len() > TEXT_MAX {
        return Err(Failure::new(format!("xml: longer than {TEXT_MAX} bytes")));
    }
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event();
        let at = usize::try_from(reader.error_position().max(reader.buffer_position())).unwrap_or(usize::MAX);
        let fail = |what: String| {
            let (line, column) = line_column(text, at);
            Failure::new(format!("xml: {what} at line {line} column {column}"))
        };
        let current = open.last_mut().expect("the document itself is never closed");
        match event.map_err(|error| fail(error.to_string()))? {
            Event::Start(start) => {
                open.push(begin(&start).map_err(fail)?);
                if open.len() > DEPTH_MAX {
                    return Err(fail(format!("nested deeper than {DEPTH_MAX} elements")));
                }
            }
            Event::Empty(start) => {
                let element = begin(&start).map_err(fail)?;
                let name = element.name.clone();
                current.add(&name, element.value());
            }
            Event::End(_) => close(&mut open),
            Event::Text(piece) => current.text.push_str(&piece.xml10_content()),
            Event::CData(piece) => current.text.push_str(&piece.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().map_err(|error| fail(error.to_string()))? {
                Some(letter) => current.text.push(letter),
                None => match resolve_predefined_entity(&name) {
                    Some(text) => current.text.push_str(text),
                    None => return Err(fail(format!("unknown entity `{}`", &*name))),
                },
            },
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let document =
        open.pop().filter(|_| open.is_empty()).ok_or_else(|| Failure::new("xml: the end of an element is missing"))?;
    if document.members.len() != 1 || !document.text.trim().is_empty() {
        return Err(Failure::new("xml: one element expected"));
    }
    Ok(Data::Map(document.members))
}

fn begin(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut element = Element { name: start.name().as_ref().to_owned(), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.unescape_value().map_err(|error| error.to_string())?;
        element.members.push((format!("@{}", attribute.key.as_ref()), Data::text(value)));
    }
    Ok(element)
}

fn close(open: &mut Vec<Element>) {
    // The reader has checked that ends match.
    if let (Some(element), Some(parent)) = (open.pop(), open.last_mut()) {
        let name = element.name.clone();
        parent.add(&name, element.value());
    }
}

/// Writes a document. Without a root the table has one member, which is it.
pub(super) fn encode(value: &Data, root: Option<&str>) -> Result<String, Failure> {
    let (name, value) = match (root, value) {
        (Some(root), value) => (root, value),
        (None, Data::Map(entries)) if entries.len() == 1 => (entries[0].0.as_str(), &entries[0].1),
        _ => return Err(Failure::argument("root", "needed unless the table has one member")),
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    write(&mut text, name, value, 0)?;
    text.push('\n');
    Ok(text)
}

fn write(out: &mut String, name: &str, value: &Data, depth: usize) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err(Failure::new(format!("xml: nested deeper than {DEPTH_MAX} levels")));
    }
    let name = checked(name)?;
    match value {
        Data::List(items) if depth == 0 || items.is_empty() => {
            out.push_str(&format!("<{name}>"));
            for item in items {
                write(out, "item", item, depth + 1)?;
            }
            out.push_str(&format!("</{name}>"));
        }
        Data::List(items) => {
            for item in items {
                write(out, name, item, depth + 1)?;
            }
        }
        Data::Map(entries) => {
            out.push_str(&format!("<{name}"));
            for (key, value) in entries.iter().filter(|(key, _)| key.starts_with('@')) {
                out.push_str(&format!(" {}=\"{}\"", checked(&key[1..])?, escaped(&scalar(key, value)?)?));
            }
            out.push('>');
            for (key, value) in entries.iter().filter(|(key, _)| !key.starts_with('@')) {
                match key.as_str() {
                    "#text" => out.push_str(&escaped(&scalar(key, value)?)?),
                    key => write(out, key, value, depth + 1)?,
                }
            }
            out.push_str(&format!("</{name}>"));
        }
        value => {
            let text = escaped(&scalar(name, value)?)?;
            out.push_str(&if text.is_empty() { format!("<{name}/>") } else { format!("<{name}>{text}</{name}>") });
        }
    }
    Ok(())
}

fn scalar(name: &str, value: &Data) -> Result<String, Failure> {
    match value {
        Data::Nil | Data::Null => Ok(String::new()),
        Data::Bool(value) => Ok(value.to_string()),
        Data::Str(bytes) => {
            String::from_utf8(bytes.clone()).map_err(|_| Failure::new(format!("xml: `{name}` is not valid UTF-8")))
        }
        value => value.to_text().ok_or_else(|| Failure::new(format!("xml: `{name}` is a {}", value.type_name()))),
    }
}

fn escaped(text: &str) -> Result<String, Failure> {
    // XML 1.0 has no way to write these, not even as references.
    if let Some(letter) = text.chars().find(|letter| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')) {
        return Err(Failure::new(format!("xml: the character {letter:?} cannot be written")));
    }
    Ok(quick_xml::escape::escape(text).into_owned())
}

fn checked(name: &str) -> Result<&str, Failure> {
    let first = |letter: char| letter.is_alphabetic() || matches!(letter, '_' | ':');
    let later = |letter: char| first(letter) || letter.is_numeric() || matches!(letter, '-' | '.');
    if name.starts_with(first) && name.chars().all(later) {
        Ok(name)
    } else {
        Err(Failure::new(format!("xml: {name:?} cannot be the name of an element or attribute")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                    <a id=\"1 &amp; 2\"><b>x &lt; y</b><b>z</b><c k=\"v\">t</c><e/></a>\n";
        let value = decode(text.as_bytes()).unwrap();
        let a = value.get("a").unwrap();
        assert_eq!(a.get("@id"), Some(&Data::text("1 & 2")));
        assert_eq!(a.get("b"), Some(&Data::texts(["x < y", "z"])));
        assert_eq!(a.get("c").unwrap().get("#text"), Some(&Data::text("t")));
        assert_eq!(encode(&value, None).unwrap(), text);
        let value = decode("<r><![CDATA[<&]]>&#65;&#x42;<!-- c --></r>".as_bytes()).unwrap();
        assert_eq!(value.get("r"), Some(&Data::text("<&AB")));
    }

    #[test]
    fn nothing_is_expanded_and_errors_name_the_place() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>\n<x>&f;</x>";
        let error = decode(bomb.as_bytes()).unwrap_err().message;
        assert!(error.contains("unknown entity `f` at line 2"), "{error}");
        for text in ["<a><b></a>", "<a>", "text", "", "<a/><b/>", "<a x=1/>"] {
            assert!(decode(text.as_bytes()).unwrap_err().message.starts_with("xml: "), "{text}");
        }
        assert!(decode("<a>".repeat(5000).as_bytes()).unwrap_err().message.contains("deeper"));
    }

    #[test]
    fn what_xml_cannot_hold_is_refused() {
        assert!(encode(&Data::map([("a b", Data::Num(1.0))]), None).is_err());
        assert!(encode(&Data::text("\u{0}"), Some("x")).is_err());
        assert!(encode(&Data::Num(1.0), None).unwrap_err().raise);
        assert!(encode(&Data::List(vec![Data::Num(1.0)]), Some("r")).unwrap().contains("<r><item>1</item></r>"));
    }
}
