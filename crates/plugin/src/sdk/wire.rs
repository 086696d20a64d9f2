//! How plans and states of plugins in Rust are written: as CBOR.
//!
//! Every number keeps its bits, NaN and infinities too. JSON would not do:
//! serde_json may read a float one unit in the last place off, and a resumed
//! run would go its own way.

use serde::{Serialize, de::DeserializeOwned};

pub(crate) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, String> {
    // Most plans and states fit: it then grows no more.
    let mut bytes = Vec::with_capacity(128);
    match ciborium::into_writer(value, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) fn from_bytes<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, String> {
    // No text in it is longer than all of it. ciborium's own scratch space is
    // 4096 bytes, which take longer to clear than most plans to read.
    let mut scratch = [0; 256];
    let value = if bytes.len() <= scratch.len() {
        ciborium::de::from_reader_with_buffer(&mut bytes, &mut scratch)
    } else {
        ciborium::from_reader(&mut bytes)
    }
    .map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(format!("{} bytes too many", bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_keeps_its_bits() {
        let key = firecraft_key::Key::from_seed(4);
        let mut floats: Vec<f64> = (0..if cfg!(miri) { 30 } else { 3000 })
            .map(|i| {
                f64::from_bits(u64::from(key.word(2 * i)) << 32 | u64::from(key.word(2 * i + 1)))
            })
            .collect();
        floats.extend([f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE, 0.1]);
        let bytes = to_bytes(&floats).unwrap();
        let again: Vec<f64> = from_bytes(&bytes).unwrap();
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(floats.iter().zip(&again).all(same));
    }

    #[test]
    fn text_of_any_length_is_read() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Named {
            a_field_with_a_name: String,
        }
        for len in [0, 1, 220, 230, 240, 256, 257, 300, 4090, 4100] {
            let named = Named {
                a_field_with_a_name: "x".repeat(len),
            };
            let bytes = to_bytes(&named).unwrap();
            assert_eq!(from_bytes::<Named>(&bytes).as_ref(), Ok(&named), "{len}");
            let text = to_bytes(&named.a_field_with_a_name).unwrap();
            assert_eq!(from_bytes::<String>(&text).map(|text| text.len()), Ok(len));
        }
    }

    #[test]
    fn what_is_cut_or_followed_by_more_is_refused() {
        let bytes = to_bytes(&(Some(3_u8), "text")).unwrap();
        for len in 0..bytes.len() {
            assert!(from_bytes::<(Option<u8>, String)>(&bytes[..len]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        let error = from_bytes::<(Option<u8>, String)>(&longer).unwrap_err();
        assert_eq!(error, "1 bytes too many");
    }
}
