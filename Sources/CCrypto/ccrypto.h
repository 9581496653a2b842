// OpenSSL's libcrypto: hashes, HMAC, and signatures of tokens.
#ifndef HOLDFAST_CCRYPTO_H
#define HOLDFAST_CCRYPTO_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>

#endif
