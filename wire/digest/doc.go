// Package digest speaks HTTP digest access authentication as Intel AMT and its clients do: the challenge of a 401
// answer, the credentials of a request, the arithmetic between them, and the state that either end keeps.
// The WS-Man ports, the web pages, the old SOAP services and event receivers use it in HTTP headers; the redirection
// ports carry the same fields in binary messages and use [Credentials.Sign] and [Credentials.Verify] directly.
//
// AMT sends algorithm MD5 without saying so, a realm "Digest:" and 32 hex digits, and qop auth (from release 14 also
// auth-int). A client understands MD5, MD5-sess, SHA-256 and SHA-256-sess; a server speaks MD5 and MD5-sess, as its
// accounts are stored as the 16 bytes of [HA1].
//
// A client's part of a request, which belongs to whoever sends it:
//
//	send with Authorize's header, or bare if there is none yet
//	401? Challenged(its WWW-Authenticate values), then send once more
//	401 again? stale: the nonce ran out in between, once more is fair; not stale: wrong name or password, stop
//
// Sources: RFC 7616, RFC 2617, RFC 2069; spec wsman.md section 3.1.
//
// The package opens no sockets, knows nothing of net/http and logs nothing. It does not do userhash, username*,
// next nonces (Authentication-Info) or SHA-512-256.
package digest
