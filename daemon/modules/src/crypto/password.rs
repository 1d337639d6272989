//! Hashes of passwords.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use sloth_lua::Failure;

/// What bcrypt reads of a password; more is an error instead of being ignored.
const BCRYPT_MAX: usize = 72;

/// Costs from quick enough for tests to a minute per hash.
const COSTS: std::ops::RangeInclusive<u32> = 4..=18;

/// Argon2id as OWASP recommends it: 19 MiB, 2 passes, 1 lane.
pub(super) fn argon2id() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are in the allowed range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Most memory (KiB) and passes that a foreign hash may ask for.
const FOREIGN: (u32, u32) = (1 << 20, 64);

pub(super) fn bcrypt_hash(password: &[u8], cost: i64) -> Result<String, Failure> {
    let cost = u32::try_from(cost)
        .ok()
        .filter(|cost| COSTS.contains(cost))
        .ok_or_else(|| Failure::argument("cost", format_args!("{} to {} expected", COSTS.start(), COSTS.end())))?;
    if password.len() > BCRYPT_MAX || password.contains(&0) {
        return Err(Failure::new(format!(
            "bcrypt hashes at most {BCRYPT_MAX} bytes without zero bytes: use argon2_hash for this password"
        )));
    }
    bcrypt::hash(password, cost).map_err(|error| Failure::new(format!("bcrypt: {error}")))
}

pub(super) fn bcrypt_check(password: &[u8], hash: &str) -> Result<bool, Failure> {
    if password.len() > BCRYPT_MAX || password.contains(&0) {
        return Ok(false);
    }
    bcrypt::verify(password, hash).map_err(|error| Failure::new(format!("not a bcrypt hash: {error}")))
}

pub(super) fn argon2_hash(password: &[u8]) -> Result<String, Failure> {
    let salt = super::random::bytes(16)?;
    argon2id()
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Failure::new(format!("argon2: {error}")))
}

pub(super) fn argon2_check(password: &[u8], hash: &str) -> Result<bool, Failure> {
    let parsed = PasswordHash::new(hash).map_err(|error| Failure::new(format!("not an Argon2 hash: {error}")))?;
    let params = Params::try_from(&parsed).map_err(|error| Failure::new(format!("not an Argon2 hash: {error}")))?;
    if params.m_cost() > FOREIGN.0 || params.t_cost() > FOREIGN.1 {
        return Err(Failure::new(format!(
            "the hash asks for more than {} MiB or {} passes",
            FOREIGN.0 >> 10,
            FOREIGN.1
        )));
    }
    match Argon2::default().verify_password(password, &parsed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(Failure::new(format!("not an Argon2 hash: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the original implementation (crypt_blowfish).
    #[test]
    fn bcrypt_knows_published_hashes() {
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert!(bcrypt_check(b"U*U", hash).unwrap());
        assert!(!bcrypt_check(b"U*V", hash).unwrap());
        let made = bcrypt_hash(b"secret", 4).unwrap();
        assert!(made.starts_with("$2b$04$") && bcrypt_check(b"secret", &made).unwrap());
        assert!(bcrypt_check(b"x", "nonsense").unwrap_err().message.contains("not a bcrypt hash"));
        assert!(bcrypt_hash(&[b'x'; 73], 4).unwrap_err().message.contains("argon2_hash"));
        assert!(bcrypt_hash(b"x", 3).unwrap_err().raise);
    }

    /// Vector of the reference implementation (phc-winner-argon2, test.c).
    #[test]
    fn argon2_knows_published_hashes() {
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(argon2_check(b"password", hash).unwrap());
        assert!(!argon2_check(b"Password", hash).unwrap());
        let made = argon2_hash(b"secret").unwrap();
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert!(argon2_check(b"secret", &made).unwrap());
        assert!(argon2_check(b"x", "$argon2id$nonsense").is_err());
    }

    /// A hash from somewhere else must not take the host's memory.
    #[test]
    fn hashes_that_ask_for_too_much_are_refused() {
        let hash = "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(argon2_check(b"password", hash).unwrap_err().message.contains("asks for more"));
    }
}
