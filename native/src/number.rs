//! Decimals: doubles as their shortest digits, and PostgreSQL's `numeric`.

/// The digits of a finite double and where its point is: 0.DIGITS times ten to the power `point`.
///
/// The digits do not begin with 0; those of zero are none.
pub struct Shortest {
    pub is_negative: bool,
    digits: [u8; 20],
    count: usize,
    point: i32,
}

impl Shortest {
    pub fn new(value: f64) -> Shortest {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let is_negative = text[0] == b'-';
        let mut found = Shortest { is_negative, digits: [0; 20], count: 0, point: 0 };
        let mut is_behind_point = false;
        let mut p = usize::from(is_negative);
        while p < text.len() && text[p] != b'e' {
            if text[p] == b'.' {
                is_behind_point = true;
            } else if text[p] != b'0' || found.count > 0 {
                if found.count < 20 {
                    found.digits[found.count] = text[p];
                    found.count += 1;
                }
                found.point += i32::from(!is_behind_point);
            } else {
                found.point -= i32::from(is_behind_point);
            }
            p += 1;
        }
        if p < text.len() {
            let exponent = std::str::from_utf8(&text[p + 1..]).unwrap_or("0");
            found.point += exponent.parse::<i32>().unwrap_or(0);
        }
        while found.count > 0 && found.digits[found.count - 1] == b'0' {
            found.count -= 1;
        }
        found
    }

    /// The digits with an exponent of two digits or more, as Python writes them.
    pub fn with_exponent(&self) -> String {
        let digits = std::str::from_utf8(&self.digits[..self.count]).unwrap_or("0");
        let (first, rest) = digits.split_at(1.min(digits.len()));
        let exponent = self.point - 1;
        let sign = if self.is_negative { "-" } else { "" };
        let point = if rest.is_empty() { "" } else { "." };
        let of_exponent = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{point}{rest}e{of_exponent}{:02}", exponent.abs())
    }

    /// Write the digits before the point, then those behind it, one at least of each.
    pub fn write(&self, whole: &mut Vec<u8>, fraction: &mut Vec<u8>) {
        let digits = &self.digits[..self.count];
        let before = self.point.max(0) as usize;
        whole.extend_from_slice(&digits[..before.min(self.count)]);
        whole.resize(before, b'0');
        if whole.is_empty() {
            whole.push(b'0');
        }
        fraction.resize((-self.point).max(0) as usize, b'0');
        fraction.extend_from_slice(&digits[before.min(self.count)..]);
        if digits.is_empty() || fraction.is_empty() {
            fraction.clear();
            fraction.push(b'0');
        }
    }
}

const EXACT: f64 = 9_007_199_254_740_992.0;
const AFTER_EXACT: f64 = 18_446_744_073_709_551_616.0;

const MOST_DIGITS: usize = 4_000;

/// A decimal: its digits before and behind the point.
#[derive(Default)]
pub struct Decimal {
    pub is_negative: bool,
    pub whole: Vec<u8>,
    pub fraction: Vec<u8>,
}

impl Decimal {
    pub fn set_int(&mut self, value: i64) {
        let mut buffer = itoa::Buffer::new();
        self.clear(value < 0);
        self.whole.extend_from_slice(buffer.format(value.unsigned_abs()).as_bytes());
    }

    /// Set the shortest decimal of a finite double; from 2^53 to 2^64 the exact one.
    pub fn set_double(&mut self, value: f64) {
        self.clear(value < 0.0);
        if (EXACT..AFTER_EXACT).contains(&value.abs()) {
            let mut buffer = itoa::Buffer::new();
            self.whole.extend_from_slice(buffer.format(value.abs() as u64).as_bytes());
            self.fraction.push(b'0');
        } else {
            Shortest::new(value).write(&mut self.whole, &mut self.fraction);
        }
    }

    /// Set the decimal that a text is; false for another text, and for one of too many digits.
    pub fn set_text(&mut self, text: &[u8]) -> bool {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let point = memchr::memchr(b'.', digits);
        let (whole, fraction) = match point {
            Some(at) => (&digits[..at], &digits[at + 1..]),
            None => (digits, &digits[..0]),
        };
        let is_number = |part: &[u8]| {
            (1..=MOST_DIGITS).contains(&part.len()) && part.iter().all(u8::is_ascii_digit)
        };
        if !is_number(whole) || (point.is_some() && !is_number(fraction)) {
            return false;
        }
        let is_zero = digits.iter().all(|&byte| matches!(byte, b'0' | b'.'));
        self.clear(digits.len() < text.len() && !is_zero);
        let leading = whole.iter().take_while(|&&digit| digit == b'0').count();
        self.whole.extend_from_slice(&whole[leading.min(whole.len() - 1)..]);
        self.fraction.extend_from_slice(fraction);
        true
    }

    fn clear(&mut self, is_negative: bool) {
        self.is_negative = is_negative;
        self.whole.clear();
        self.fraction.clear();
    }

    /// Whether `numeric(precision, scale)` holds it without rounding; then it has `scale` places.
    pub fn limit(&mut self, precision: usize, scale: usize) -> bool {
        if self.fraction.iter().skip(scale).any(|&digit| digit != b'0') {
            return false;
        }
        let leading = self.whole.iter().take_while(|&&digit| digit == b'0').count();
        if self.whole.len() - leading + scale > precision {
            return false;
        }
        self.fraction.resize(scale, b'0');
        true
    }

    pub fn is_whole(&self) -> bool {
        self.fraction.iter().all(|&digit| digit == b'0')
    }

    /// Write the field: count of groups of four digits, weight of the first, sign, scale, groups.
    pub fn write_field(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 12]);
        let first = out.len();
        let before = self.whole.len().div_ceil(4);
        let mut weight = before as i32 - 1;
        let mut group = 0_u16;
        let pad = before * 4 - self.whole.len();
        for (i, digit) in self.whole.iter().enumerate() {
            group = group * 10 + u16::from(digit - b'0');
            if (i + pad) % 4 == 3 {
                push_group(out, first, &mut weight, group);
                group = 0;
            }
        }
        for chunk in self.fraction.chunks(4) {
            for i in 0..4 {
                group = group * 10 + chunk.get(i).map_or(0, |digit| u16::from(digit - b'0'));
            }
            push_group(out, first, &mut weight, group);
            group = 0;
        }
        while out.len() > first && out.ends_with(&[0, 0]) {
            out.truncate(out.len() - 2);
        }
        let count = (out.len() - first) / 2;
        if count == 0 {
            weight = 0;
        }
        let sign: u16 = if self.is_negative { 0x4000 } else { 0 };
        out[start..start + 4].copy_from_slice(&(8 + 2 * count as i32).to_be_bytes());
        out[start + 4..start + 6].copy_from_slice(&(count as u16).to_be_bytes());
        out[start + 6..start + 8].copy_from_slice(&(weight as i16).to_be_bytes());
        out[start + 8..start + 10].copy_from_slice(&sign.to_be_bytes());
        out[start + 10..start + 12].copy_from_slice(&(self.fraction.len() as u16).to_be_bytes());
    }
}

/// Add a group; groups of zeros in front are no groups, and lower the weight.
#[inline]
fn push_group(out: &mut Vec<u8>, first: usize, weight: &mut i32, group: u16) {
    if group == 0 && out.len() == first {
        *weight -= 1;
    } else {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Write the field of NaN or of an infinity; the scale of an infinity is 32 as the server has it.
pub fn write_special(value: f64, out: &mut Vec<u8>) {
    let (sign, scale): (u16, u16) = if value.is_nan() {
        (0xC000, 0)
    } else if value > 0.0 {
        (0xD000, 32)
    } else {
        (0xF000, 32)
    };
    out.extend_from_slice(&8_i32.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
}

/// A double that is an integer of 64 bits, and not -0.0.
pub fn whole_double(value: f64) -> Option<i64> {
    let is_in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    let is_whole = is_in_range && value.trunc() == value;
    (is_whole && !(value == 0.0 && value.is_sign_negative())).then_some(value as i64)
}

/// The integer that a text of decimal digits is, without zeros in front.
pub fn whole_text(text: &[u8]) -> Option<i128> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = !digits.is_empty()
        && digits.len() <= 19
        && (digits[0] != b'0' || digits.len() == 1)
        && digits.iter().all(u8::is_ascii_digit);
    if !is_plain {
        return None;
    }
    let value = digits.iter().fold(0_i128, |found, digit| found * 10 + i128::from(digit - b'0'));
    Some(if digits.len() < text.len() { -value } else { value })
}
