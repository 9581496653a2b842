internal import Channels

/// The keys of the ini file, ready for use, and their verdict on tokens and links. Pure: the time is passed in.
///
/// Of a token without a valid signature only the header is read: size, form and header come first, then the signature,
/// and only then the claims.
package struct KeyRing: Sendable {
    fileprivate struct Key: Sendable {
        let name: String
        let fingerprint: KeyFingerprint
        let algorithm: KeySettings.Algorithm
        let audience: String?
        let cookie: String?
        let material: Material
    }

    fileprivate enum Material: Sendable {
        case secret(SecretKey)
        case publicKey(PublicKey)
    }

    private let keys: [Key]
    /// The names of the cookies in which tokens may come.
    package let cookies: [String]

    /// - Parameter settings: with distinct names. A key that is not loaded, or cannot be used, verifies nothing.
    package init(_ settings: [KeySettings]) {
        keys = settings.compactMap { setting in
            guard !setting.material.isEmpty else { return nil }
            let material: Material
            if setting.algorithm.isSecret {
                guard setting.material.count >= KeySettings.secretByteLimits.lowerBound else {
                    return nil
                }
                material = .secret(SecretKey(setting.material))
            } else {
                guard let key = try? PublicKey(pem: setting.material, of: setting.algorithm) else {
                    return nil
                }
                material = .publicKey(key)
            }
            return Key(
                name: setting.name,
                fingerprint: setting.fingerprint,
                algorithm: setting.algorithm,
                audience: setting.audience,
                cookie: setting.cookie,
                material: material
            )
        }
        cookies = keys.compactMap(\.cookie).reduce(into: []) { names, name in
            if !names.contains(name) { names.append(name) }
        }
    }

    package var isEmpty: Bool { keys.isEmpty }

    /// The name of the key with this fingerprint; nil if the key has changed or is gone.
    package func name(of fingerprint: KeyFingerprint) -> String? {
        keys.first { $0.fingerprint == fingerprint }?.name
    }

    // MARK: Tokens

    /// A longer text is no token.
    package static var tokenByteLimit: Int { Token.byteLimit }

    /// The verdict on a token's signature, and on its whole content except for its times.
    package func verified(
        token text: [UInt8],
        from source: TokenSource
    ) throws(Refusal) -> VerifiedToken {
        let token = try Token(text)
        var isSigned = false
        for key in try candidates(for: token, from: source) where key.hasSigned(token) {
            isSigned = true
            let claims = try token.claims()
            // Another key may have the same secret.
            guard claims.isMeant(for: key.audience) else { continue }
            return VerifiedToken(
                visa: Visa(
                    key: key.fingerprint,
                    keyName: key.name,
                    name: claims.name,
                    read: claims.read,
                    publish: claims.publish,
                    expires: claims.expires
                ),
                notBefore: claims.notBefore
            )
        }
        throw isSigned ? .wrongAudience : .wrongSignature
    }

    /// The content of a token, without any verdict; for its author.
    package static func contents(ofToken text: [UInt8]) throws(Refusal) -> TokenContents {
        let token = try Token(text)
        return TokenContents(
            algorithm: token.algorithm,
            keyName: token.keyName,
            claims: try token.claims()
        )
    }

    /// The keys that may have signed it. The token's own `alg` and `kid` can only exclude keys.
    private func candidates(
        for token: Token,
        from source: TokenSource
    ) throws(Refusal) -> [Key] {
        var candidates = keys.filter { $0.accepts(source) }
        if let name = token.keyName { candidates = candidates.filter { $0.name == name } }
        guard !candidates.isEmpty else { throw .unknownKey }
        candidates = candidates.filter { $0.algorithm.rawValue == token.algorithm }
        guard !candidates.isEmpty else { throw .wrongAlgorithm }
        return candidates
    }

    /// Why a visa that was issued before is no longer valid; nil if it is.
    package func refusal(of visa: Visa, at now: Int64) -> Refusal? {
        guard name(of: visa.key) != nil else { return .unknownKey }
        return visa.expires > now ? nil : .expired
    }

    // MARK: Links

    /// The verdict on a signed link.
    ///
    /// - Parameters:
    ///   - keyName: the key, if the link names one; otherwise every key with a shared secret is tried.
    ///   - signature: 64 hexadecimal digits.
    ///   - now: milliseconds since 1970.
    package func visa(
        for link: SignedLink,
        keyName: String?,
        signature: String,
        now: Int64
    ) throws(Refusal) -> Visa {
        guard let signature = SignedLink.bytes(ofSignature: signature) else {
            throw .malformedLink("'signature' must be 64 hexadecimal digits")
        }
        let terms = try link.terms()
        guard terms.expires > now else { throw .expired }
        var isKnown = false
        for key in keys where keyName == nil || key.name == keyName {
            guard case .secret(let secret) = key.material else { continue }
            isKnown = true
            let text = link.text(audience: key.audience)
            guard Crypto.areEqual(secret.hmac(text), signature) else { continue }
            let patterns = link.channels.compactMap { ChannelPattern($0.subject.text) }
            return Visa(
                key: key.fingerprint,
                keyName: key.name,
                name: link.user,
                read: terms.mayRead ? patterns : [],
                publish: terms.mayPublish ? patterns : [],
                expires: terms.expires
            )
        }
        throw isKnown ? .wrongLinkSignature : .unknownLinkKey
    }

    /// The signature of a link; nil if no key of this name has a shared secret.
    package func signature(of link: SignedLink, keyName: String) -> String? {
        for key in keys where key.name == keyName {
            guard case .secret(let secret) = key.material else { continue }
            return SignedLink.text(ofSignature: secret.hmac(link.text(audience: key.audience)))
        }
        return nil
    }
}

extension KeyRing.Key {
    fileprivate func accepts(_ source: TokenSource) -> Bool {
        switch source {
        case .sent: true
        case .cookie(let name): cookie == name
        }
    }

    fileprivate func hasSigned(_ token: Token) -> Bool {
        switch material {
        case .secret(let secret):
            Crypto.areEqual(secret.hmac(token.signed), token.signature)
        case .publicKey(let key): key.verifies(token.signature, of: token.signed)
        }
    }
}

extension Claims {
    /// RFC 7519 §4.1.3: a recipient that the token's `aud` does not name refuses it.
    fileprivate func isMeant(for own: String?) -> Bool {
        guard let own else { return audience == nil }
        return audience?.contains { $0.utf8.elementsEqual(own.utf8) } ?? false
    }
}

extension KeySettings {
    package var fingerprint: KeyFingerprint {
        var text: [UInt8] = []
        for field in [name, algorithm.rawValue, audience ?? "", cookie ?? ""] {
            text += Array("\(field.utf8.count):\(field)".utf8)
        }
        return KeyFingerprint(value: Digest(of: text + material).prefix)
    }
}
