//! The date and time a template may ask for.

use std::time::{SystemTime, UNIX_EPOCH};

/// A date and time of day, in whatever time zone the caller means.
///
/// Templates print it by `strftime_now`, usually as today's date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    year: i64,
    /// 1 to 12.
    month: u32,
    /// 1 to 31.
    day: u32,
    /// Days since 1 January, from 0.
    day_of_year: u32,
    /// Days since Sunday.
    weekday: u32,
    second_of_day: u32,
}

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl DateTime {
    /// The time `seconds` after the beginning of 1970 in UTC, as a clock `utc_offset` seconds east
    /// of UTC shows it. Korea's offset is 32 400.
    pub fn from_unix(seconds: i64, utc_offset: i32) -> Self {
        // Far beyond any year a calendar means anything for, and safe to calculate with.
        const LIMIT: i64 = 1 << 50;
        let local = seconds.clamp(-LIMIT, LIMIT) + i64::from(utc_offset);
        let days = local.div_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            day_of_year: (days - days_to_new_year(year)) as u32,
            // 1 January 1970 was a Thursday.
            weekday: (days + 4).rem_euclid(7) as u32,
            second_of_day: local.rem_euclid(DAY) as u32,
        }
    }

    /// What a clock `utc_offset` seconds east of UTC shows now.
    ///
    /// The standard library does not know the local time zone: a caller that does should say so.
    pub fn now(utc_offset: i32) -> Self {
        let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
        };
        Self::from_unix(seconds, utc_offset)
    }

    /// Formats the time as C's and Python's `strftime` do in the C locale.
    pub(super) fn strftime(&self, format: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = chars.next();
            let unpadded = directive == Some('-');
            if unpadded {
                directive = chars.next();
            }
            let Some(directive) = directive else {
                return Err("a time format ends in `%`".into());
            };
            let text = self.field(directive)?;
            let trimmed = if unpadded { text.trim_start_matches(['0', ' ']) } else { &text };
            out.push_str(if trimmed.is_empty() && unpadded { "0" } else { trimmed });
        }
        Ok(out)
    }

    fn field(&self, directive: char) -> Result<String, String> {
        let Self { year, month, day, weekday, .. } = *self;
        let (hour, minute, second) = (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60);
        let hour12 = (hour + 11) % 12 + 1;
        let month_name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
        let weekday_name = WEEKDAYS.get(weekday as usize).copied().unwrap_or_default();
        Ok(match directive {
            'Y' => year.to_string(),
            'y' => format!("{:02}", year.rem_euclid(100)),
            'm' => format!("{month:02}"),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'j' => format!("{:03}", self.day_of_year + 1),
            'B' => month_name.into(),
            'b' | 'h' => month_name[..3].into(),
            'A' => weekday_name.into(),
            'a' => weekday_name[..3].into(),
            'w' => weekday.to_string(),
            'u' => ((weekday + 6) % 7 + 1).to_string(),
            'H' => format!("{hour:02}"),
            'I' => format!("{hour12:02}"),
            'M' => format!("{minute:02}"),
            'S' => format!("{second:02}"),
            'f' => "000000".into(),
            'p' => if hour < 12 { "AM" } else { "PM" }.into(),
            'F' => format!("{year}-{month:02}-{day:02}"),
            'T' | 'X' => format!("{hour:02}:{minute:02}:{second:02}"),
            'R' => format!("{hour:02}:{minute:02}"),
            'D' | 'x' => format!("{month:02}/{day:02}/{:02}", year.rem_euclid(100)),
            // A time without a zone, which is what Python's `datetime.now()` is, prints none.
            'Z' | 'z' => String::new(),
            'n' => "\n".into(),
            't' => "\t".into(),
            '%' => "%".into(),
            other => return Err(format!("`%{other}` is not a field of a time format")),
        })
    }
}

/// Year, month and day of a number of days since 1 January 1970, in the Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Years are counted from 1 March here, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The number of days from 1 January 1970 to 1 January of this year.
fn days_to_new_year(year: i64) -> i64 {
    let before = year - 1;
    365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, format: &str) -> String {
        DateTime::from_unix(seconds, 0).strftime(format).unwrap()
    }

    #[test]
    fn known_dates_print_as_they_should() {
        assert_eq!(at(0, "%Y-%m-%d %H:%M:%S %A"), "1970-01-01 00:00:00 Thursday");
        assert_eq!(at(951_782_400, "%F %j %a"), "2000-02-29 060 Tue");
        assert_eq!(at(-1, "%d %b %Y %I:%M %p"), "31 Dec 1969 11:59 PM");
        assert_eq!(at(1_735_689_599, "%-d %B %y %j %u"), "31 December 24 366 2");
        assert_eq!(at(1_709_164_800, "%e|%-m|100%%"), "29|2|100%");
    }

    #[test]
    fn an_offset_moves_the_date() {
        let evening = 1_700_000_000 / DAY * DAY + 20 * 3600;
        let utc = DateTime::from_unix(evening, 0);
        let seoul = DateTime::from_unix(evening, 9 * 3600);
        assert_eq!(utc.day + 1, seoul.day);
        assert_eq!(seoul.strftime("%H").unwrap(), "05");
    }

    #[test]
    fn an_unknown_field_is_named() {
        assert!(DateTime::from_unix(0, 0).strftime("%Q").unwrap_err().contains("%Q"));
        assert!(DateTime::from_unix(0, 0).strftime("%").is_err());
    }
}
