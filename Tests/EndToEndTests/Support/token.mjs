// Makes a token with Node's own signatures.
//
//   node token.mjs HS256 SECRET PAYLOAD
//   node token.mjs ES256|EdDSA PRIVATE-KEY-FILE PAYLOAD
import crypto from "node:crypto"
import fs from "node:fs"

const [algorithm, key, payload] = process.argv.slice(2)
const encode = (text) => Buffer.from(text).toString("base64url")
const signed = encode(JSON.stringify({ alg: algorithm, typ: "JWT" })) + "." + encode(payload)
const signature =
    algorithm === "HS256"
        ? crypto.createHmac("sha256", key).update(signed).digest()
        : crypto.sign(algorithm === "ES256" ? "sha256" : null, Buffer.from(signed), {
              key: fs.readFileSync(key),
              dsaEncoding: "ieee-p1363",
          })
console.log(signed + "." + signature.toString("base64url"))
