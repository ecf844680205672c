//! Days and moments: counted from 2000, as PostgreSQL does, and as ISO 8601 texts.

pub const MS_TO_2000: i64 = 946_684_800_000;
pub const DAYS_TO_2000: i64 = 10_957;
pub const DAY_MS: i64 = 86_400_000;

/// Year, month and day of a day counted from 1970.
pub fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day from 1970 of a date; None where there is no such day in the years 1 to 9999.
pub fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    (civil(days) == (year, month as u32, day as u32)).then_some(days)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |found: i64, &byte| {
        byte.is_ascii_digit().then(|| found * 10 + i64::from(byte - b'0'))
    })
}

/// Days from 2000 of a text YYYY-MM-DD.
pub fn parse_day(text: &[u8]) -> Option<i64> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let days = day_of(digits(&text[..4])?, digits(&text[5..7])?, digits(&text[8..])?)?;
    Some(days - DAYS_TO_2000)
}

/// Microseconds from 2000 of an ISO moment, and its digits behind the point.
pub fn parse_moment(text: &[u8]) -> Option<(i64, &[u8])> {
    if text.len() < 20 || text[10] != b'T' || text[13] != b':' || text[16] != b':' {
        return None;
    }
    let days = parse_day(&text[..10])?;
    let (hour, minute) = (digits(&text[11..13])?, digits(&text[14..16])?);
    let second = digits(&text[17..19])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut fraction: &[u8] = b"";
    if rest[0] == b'.' {
        let count = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return None;
        }
        fraction = &rest[1..1 + count];
        rest = &rest[1 + count..];
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours >= 16 || minutes > 59 {
                return None;
            }
            let minutes = hours * 60 + minutes;
            if *sign == b'-' {
                -minutes
            } else {
                minutes
            }
        }
        _ => return None,
    };
    let mut micros = 0;
    for i in 0..6 {
        micros = micros * 10 + fraction.get(i).map_or(0, |byte| i64::from(byte - b'0'));
    }
    let minutes = days * 1_440 + hour * 60 + minute - offset;
    Some(((minutes * 60 + second) * 1_000_000 + micros, fraction))
}

fn push_padded(out: &mut Vec<u8>, value: i64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out.resize(out.len() + width.saturating_sub(text.len()), b'0');
    out.extend_from_slice(text);
}

/// Write a day from 1970 as YYYY-MM-DD; false outside of the years 1 to 9999.
pub fn push_day(out: &mut Vec<u8>, days: i64) -> bool {
    if !(-719_162..=2_932_896).contains(&days) {
        return false;
    }
    let (year, month, day) = civil(days);
    push_padded(out, year, 4);
    out.push(b'-');
    push_padded(out, i64::from(month), 2);
    out.push(b'-');
    push_padded(out, i64::from(day), 2);
    true
}

/// Write a moment, in microseconds from 1970, with `places` digits if these are enough, or six.
///
/// False outside of the years 1 to 9999.
pub fn push_moment(out: &mut Vec<u8>, micros: i64, places: usize) -> bool {
    let (days, of_day) = (micros.div_euclid(DAY_MS * 1000), micros.rem_euclid(DAY_MS * 1000));
    if !push_day(out, days) {
        return false;
    }
    let seconds = of_day / 1_000_000;
    for (mark, value) in [(b'T', seconds / 3600), (b':', seconds / 60 % 60), (b':', seconds % 60)] {
        out.push(mark);
        push_padded(out, value, 2);
    }
    let fraction = of_day % 1_000_000;
    let places = if fraction % 10_i64.pow(6 - places as u32) == 0 { places } else { 6 };
    if places > 0 {
        out.push(b'.');
        push_padded(out, fraction / 10_i64.pow(6 - places as u32), places);
    }
    out.push(b'Z');
    true
}
