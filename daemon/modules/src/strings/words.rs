//! Words of a text, and the spellings made of them.

/// Words: runs of letters and digits, split where small letters are followed by a capital one, and before the last
/// capital of an acronym that is followed by small ones (`HTTPServer` is `HTTP`, `Server`).
fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (index, letter) in letters.iter().copied().enumerate() {
        if !letter.is_alphanumeric() {
            words.push(std::mem::take(&mut word));
            continue;
        }
        let before = index.checked_sub(1).map(|before| letters[before]);
        let rises = before.is_some_and(|before| before.is_lowercase() || before.is_numeric()) && letter.is_uppercase();
        let ends_acronym = before.is_some_and(char::is_uppercase)
            && letter.is_uppercase()
            && letters.get(index + 1).is_some_and(|next| next.is_lowercase());
        if rises || ends_acronym {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter);
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// First letter large, the rest as it is.
pub(super) fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// First letter of every word large.
pub(super) fn title(text: &str) -> String {
    let mut inside = false;
    let mut result = String::with_capacity(text.len());
    for letter in text.chars() {
        if inside {
            result.push(letter);
        } else {
            result.extend(letter.to_uppercase());
        }
        inside = letter.is_alphanumeric() || letter == '\'';
    }
    result
}

/// `someWords`.
pub(super) fn camel_case(text: &str) -> String {
    let words = words(text);
    let spell = |(index, word): (usize, &String)| {
        let small = word.to_lowercase();
        if index == 0 { small } else { capitalize(&small) }
    };
    words.iter().enumerate().map(spell).collect()
}

/// `some_words`.
pub(super) fn snake_case(text: &str) -> String {
    words(text).iter().map(|word| word.to_lowercase()).collect::<Vec<_>>().join("_")
}

/// `some-words`, for addresses and file names: Latin letters lose their marks, what is not ASCII then is dropped.
pub(super) fn slugify(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for letter in text.chars() {
        match plain(letter) {
            Some(letters) => slug.push_str(&letters),
            None if matches!(letter, '\'' | '’') => {}
            None if slug.ends_with('-') || slug.is_empty() => {}
            None => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn plain(letter: char) -> Option<String> {
    if letter.is_ascii_alphanumeric() {
        return Some(letter.to_ascii_lowercase().to_string());
    }
    let small = letter.to_lowercase().next()?;
    let letters = match small {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ŕ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    };
    Some(letters.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(camel_case("HTTPServer max-conn_count"), "httpServerMaxConnCount");
        assert_eq!(snake_case("parseHTTPRequest2Json"), "parse_http_request2_json");
        assert_eq!(snake_case("  a  b "), "a_b");
        assert_eq!(title("it's a dog's life"), "It's A Dog's Life");
        assert_eq!(capitalize("élan vital"), "Élan vital");
        assert_eq!(slugify("  Größe: 10 % — Café's & Œuvre! "), "groesse-10-cafes-oeuvre");
        assert_eq!(slugify("日本"), "");
    }
}
