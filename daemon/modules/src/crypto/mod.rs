//! The module `crypto`: digests, random values, passwords, encryption and signatures, all from the RustCrypto family.

mod cipher;
mod digest;
mod password;
mod random;
mod sign;

use sloth_lua::{Args, Body, Call, Data, Failure, Function, Module, Param, Reply, Tier, Type};

pub(crate) use digest::{Digest, Hasher, hex_digest};
pub(crate) use random::uuid_v4;

use crate::describe::{also, blocking, count, give, integer, may, named, need, options, pure, value};
use crate::strings::{from_base64, to_base64, to_hex};

/// The module `crypto`.
pub const MODULE: Module = Module {
    name: "crypto",
    aliases: &[],
    tier: Tier::Here,
    about: "Digests, random values, passwords, encryption, signatures.",
    functions: FUNCTIONS,
    prelude: "",
};

/// Largest number of random bytes or characters in one call.
const RANDOM_MAX: usize = 1 << 20;

const S: Param = named("text", &["s"], Type::Str);
const TEXT: &[Param] = &[S];
const ALGORITHM: Param = named("algorithm", &["alg"], Type::Str);
const CHECK: &[Param] = &[S, named("hash", &["h"], Type::Str)];

const FUNCTIONS: &[Function] = &[
    pure("md5", TEXT, "string", "MD5 in hex; for checksums of old formats only.", |a| of(a, Digest::Md5)),
    pure("sha1", TEXT, "string", "SHA-1 in hex; for checksums of old formats only.", |a| of(a, Digest::Sha1)),
    pure("sha256", TEXT, "string", "SHA-256 in hex.", |a| of(a, Digest::Sha256)),
    pure("sha512", TEXT, "string", "SHA-512 in hex.", |a| of(a, Digest::Sha512)),
    pure("hash", &[ALGORITHM, S], "string", "Digest by the name of its algorithm, in hex.", |a| of(a, algorithm(a)?)),
    blocking(
        "hash_file",
        &[need("path", Type::Str), Param { aliases: &["alg"], ..may("algorithm", Type::Str, "\"sha256\"") }],
        "string",
        "Digest of a file, in hex.",
        hash_file,
    ),
    pure("hmac", &[ALGORITHM, need("key", Type::Str), S], "string", "HMAC (RFC 2104) in hex.", |a| {
        give(to_hex(&algorithm(a)?.hmac(&a.bytes("key")?, &a.bytes("text")?)))
    }),
    pure("base64_encode", TEXT, "string", "In base64.", |a| give(to_base64(&a.bytes("text")?))),
    pure("base64_decode", TEXT, "string", "From base64 of either alphabet.", |a| {
        give(Data::Str(from_base64(&a.bytes("text")?).map_err(Failure::new)?))
    }),
    pure("hex_encode", TEXT, "string", "In hex.", |a| give(to_hex(&a.bytes("text")?))),
    pure("hex_decode", TEXT, "string", "From hex.", |a| {
        give(Data::Str(crate::strings::from_hex(&a.bytes("text")?).map_err(Failure::new)?))
    }),
    also(pure("uuid_v4", &[], "string", "A random UUID.", |_| give(random::uuid_v4())), &["uuid"]),
    pure("uuid_v7", &[], "string", "A UUID that sorts by time.", |_| give(random::uuid_v7())),
    pure(
        "random_string",
        &[named("n", &["len", "length"], Type::Int), may("charset", Type::Str, "\"a-zA-Z0-9\"")],
        "string",
        "Random characters of a set.",
        |a| {
            let set = a.opt_text("charset").unwrap_or_else(|| random::LETTERS_AND_DIGITS.into());
            random::text(count(a, "n", RANDOM_MAX)?, &set).map(Data::from).map_or_else(Err, give)
        },
    ),
    pure("random_bytes", &[named("n", &["len", "length"], Type::Int)], "string", "Random bytes.", |a| {
        give(Data::Str(random::bytes(count(a, "n", RANDOM_MAX)?)?))
    }),
    pure(
        "generate_password",
        &[Param { aliases: &["length", "n"], ..may("len", Type::Int, "16") }, may("symbols", Type::Bool, "true")],
        "string",
        "A password with every kind of character.",
        |a| {
            let length = usize::try_from(a.int("len").unwrap_or(16)).unwrap_or(0);
            give(random::password(length, a.flag_or("symbols", true))?)
        },
    ),
    blocking("bcrypt_hash", &[S, may("cost", Type::Int, "12")], "string", "bcrypt hash of a password.", |c| {
        give(password::bcrypt_hash(&c.args.bytes("text")?, c.args.int("cost").unwrap_or(12))?)
    }),
    blocking("bcrypt_check", CHECK, "boolean", "Whether a password has a bcrypt hash.", |c| {
        give(password::bcrypt_check(&c.args.bytes("text")?, &c.args.text("hash")?)?)
    }),
    blocking("argon2_hash", TEXT, "string", "Argon2id hash of a password (PHC string).", |c| {
        give(password::argon2_hash(&c.args.bytes("text")?)?)
    }),
    blocking("argon2_check", CHECK, "boolean", "Whether a password has an Argon2 hash.", |c| {
        give(password::argon2_check(&c.args.bytes("text")?, &c.args.text("hash")?)?)
    }),
    blocking(
        "aes_encrypt",
        &[named("text", &["plain", "s"], Type::Str), need("key", Type::Str)],
        "string",
        "AES-256-GCM in base64, with a key of 32 bytes or a passphrase.",
        |c| give(to_base64(&cipher::encrypt(&c.args.bytes("text")?, &c.args.bytes("key")?)?)),
    ),
    blocking(
        "aes_decrypt",
        &[named("text", &["data", "s"], Type::Str), need("key", Type::Str)],
        "string",
        "Reverses `aes_encrypt`; fails when text or key is another.",
        |c| {
            let sealed = from_base64(&c.args.bytes("text")?).map_err(Failure::new)?;
            give(Data::Str(cipher::decrypt(&sealed, &c.args.bytes("key")?)?))
        },
    ),
    options(
        pure(
            "generate_keypair",
            &[],
            "{private: string, public: string}",
            "A new Ed25519 key pair, in base64.",
            |_| sign::generate(),
        ),
        &[],
    ),
    pure(
        "sign",
        &[S, named("key", &["private", "private_key"], Type::Str)],
        "string",
        "Ed25519 signature in base64; the key is 32 bytes, raw, in base64 or in hex.",
        |a| give(to_base64(&sign::sign(&a.bytes("text")?, &a.bytes("key")?)?)),
    ),
    pure(
        "verify",
        &[S, named("signature", &["sig"], Type::Str), named("key", &["public", "public_key"], Type::Str)],
        "boolean",
        "Whether an Ed25519 signature is genuine.",
        |a| give(sign::verify(&a.bytes("text")?, &a.bytes("signature")?, &a.bytes("key")?)?),
    ),
    pure(
        "constant_time_equal",
        &[need("a", Type::Str), need("b", Type::Str)],
        "boolean",
        "Equality that tells nothing by its time.",
        |a| give(equal(&a.bytes("a")?, &a.bytes("b")?)),
    ),
    value(
        "random_int",
        &[need("min", Type::Int), need("max", Type::Int)],
        "number",
        "A random integer.",
        Body::Pure(|a| give(random::integer(integer(a, "min")?, integer(a, "max")?)?)),
    ),
];

fn of(args: &Args, digest: Digest) -> Reply {
    give(hex_digest(digest, &args.bytes("text")?))
}

fn algorithm(args: &Args) -> Result<Digest, Failure> {
    let name = args.opt_text("algorithm").unwrap_or_else(|| "sha256".into());
    Digest::named(&name)
        .ok_or_else(|| Failure::new(format!("unknown algorithm `{name}`: md5, sha1, sha224, sha256, sha384 or sha512")))
}

fn hash_file(call: Call) -> Reply {
    let digest = algorithm(&call.args)?;
    let path = call.ctx.resolve(&call.args.text("path")?);
    let hash = digest::file(digest, &path, &call.ctx.cancel);
    give(hash.map_err(|error| Failure::new(format!("{}: {error}", path.display())))?)
}

/// Compares without an early end. Lengths are no secret.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b))) == 0
}
