//! Which cron expressions kopia accepts.
//!
//! kopist never runs on a schedule, but a policy with an expression that kopia's server cannot
//! read must not be stored. The grammar is that of `github.com/hashicorp/cronexpr` 1.1: five to
//! seven fields (seconds first when there are seven, the year last), lists, ranges, steps,
//! names, `L`, `W`, `#`, and aliases such as `@daily`.

/// Whether an expression can be parsed. Text after `#` is a comment; an empty rest is accepted.
#[must_use]
pub fn is_valid(expression: &str) -> bool {
    // The comment is cut first, so that `5#3` never reaches the parser of kopia either.
    let expression = expression.split('#').next().unwrap_or_default().trim();
    if expression.is_empty() {
        return true;
    }
    let mut text = expression.to_owned();
    for (alias, fields) in [
        ("@yearly", "0 0 0 1 1 * *"),
        ("@annually", "0 0 0 1 1 * *"),
        ("@monthly", "0 0 0 1 * * *"),
        ("@weekly", "0 0 0 * * 0 *"),
        ("@daily", "0 0 0 * * * *"),
        ("@hourly", "0 0 * * * * *"),
    ] {
        text = text.replace(alias, fields);
    }
    let fields: Vec<String> = text.split_ascii_whitespace().map(str::to_lowercase).collect();
    let kinds: &[Field] = match fields.len() {
        0..5 => return false,
        5 => &FIELDS[1..6],
        6 => &FIELDS[1..],
        _ => &FIELDS,
    };
    kinds.iter().zip(&fields).all(|(kind, field)| kind.accepts(field))
}

struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
    special: fn(&Field, &str) -> bool,
}

const MONTHS: &[&str] = &[
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: &[&str] = &[
    "sun",
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

const fn numbers(min: u32, max: u32) -> Field {
    Field { min, max, names: &[], special: |_, _| false }
}

const FIELDS: [Field; 7] = [
    numbers(0, 59),
    numbers(0, 59),
    numbers(0, 23),
    Field { min: 1, max: 31, names: &[], special: day_of_month },
    Field { min: 1, max: 12, names: MONTHS, special: |_, _| false },
    Field { min: 0, max: 7, names: DAYS, special: day_of_week },
    numbers(1970, 2099),
];

/// The last day, the last workday, or the workday nearest to a day.
fn day_of_month(field: &Field, text: &str) -> bool {
    text == "l" || text == "lw" || text.strip_suffix('w').is_some_and(|day| field.value(day))
}

/// The last such day of the month.
fn day_of_week(field: &Field, text: &str) -> bool {
    text.strip_suffix('l').is_some_and(|day| field.value(day))
}

impl Field {
    fn accepts(&self, text: &str) -> bool {
        let mut entries = text.split(',').filter(|entry| !entry.is_empty()).peekable();
        entries.peek().is_some() && entries.all(|entry| self.entry(entry))
    }

    fn entry(&self, text: &str) -> bool {
        let (values, step) = match text.split_once('/') {
            Some((values, step)) => (values, Some(step)),
            None => (text, None),
        };
        let range = match values.split_once('-') {
            _ if values == "*" => true,
            _ if values == "?" => step.is_none(),
            Some((from, to)) => self.value(from) && self.value(to),
            None => self.value(values),
        };
        let step = step.is_none_or(|step| self.step(step));
        (range && step) || (self.special)(self, text)
    }

    fn step(&self, text: &str) -> bool {
        // The day of the week ends at 6 here, although 7 is also a Sunday.
        let max = if self.max == 7 { 6 } else { self.max };
        let plain = text.len() <= 2 || (text.len() == 4 && !text.starts_with('0'));
        plain && number(text).is_some_and(|step| (1..=max).contains(&step))
    }

    fn value(&self, text: &str) -> bool {
        if self.names.contains(&text) {
            return true;
        }
        let digits = if self.min == 1970 { text.len() == 4 } else { text.len() <= 2 };
        digits && number(text).is_some_and(|value| (self.min..=self.max).contains(&value))
    }
}

fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn accepted() {
        for text in [
            "0 11 * * *",
            "*/5 * * * *",
            "0-30/10 1,2,3 1 jan mon",
            "0 0 L * ?",
            "0 0 15W * 5L",
            "0 0 LW * sunday",
            "@daily",
            "0 0 0 1 1 * 2030",
            "0 0 1 1 * 1999",
            "# only a comment",
            "0 0 * * * # nightly",
            "0 0 * * 7",
            "",
            "5/2 * * * *",
            "30-10 * * * *",
            "1,,2 * * * *",
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "nonsense",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "*/60 * * * *",
            "a-b * * * *",
            "1-2-3 * * * *",
            "* * * * mo",
            ", * * * *",
            "*-5 * * * *",
            "?/2 * * * *",
            "0 0 32W * *",
            "0 0 0 1 1 * 1950",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
