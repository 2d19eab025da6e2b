package amthi

import "strconv"

// The root certificates that the firmware trusts for setup: commands 2C and 2D.

// maxHandles is the most that the firmware has; answers are padded to as many.
const maxHandles = 33

// Handles name the hashes.
type Handles []uint32

func (v Handles) Append(b []byte) []byte {
	v = v[:min(len(v), maxHandles)]
	b = u32(b, uint32(len(v)))
	for _, h := range v {
		b = u32(b, h)
	}
	return b
}

func handles(r *reader) Handles {
	n := r.u32()
	if n > maxHandles {
		r.fail("%d handles", n)
		return nil
	}
	all := make(Handles, 0, n)
	for range n {
		all = append(all, r.u32())
	}
	return all
}

// A CertificateHash is a root certificate by the hash of its DER.
type CertificateHash struct {
	Default   bool // burned in, or by the machine's maker
	Active    bool // setup with it is allowed
	Hash      []byte
	Algorithm HashAlgorithm
	Name      string
}

func (v CertificateHash) Append(b []byte) []byte {
	b = appendBool(appendBool(b, v.Default), v.Active)
	b = append(appendFixed(b, v.Hash, hashLen), byte(v.Algorithm))
	return appendText(b, v.Name)
}

func certificateHash(r *reader) CertificateHash {
	v := CertificateHash{Default: r.bool(), Active: r.bool()}
	hash := r.take(hashLen)
	v.Algorithm = HashAlgorithm(r.u8())
	v.Hash = v.Algorithm.trim(hash)
	v.Name = r.text()
	return v
}

// A HashAlgorithm is how a certificate was hashed. Old sources call 3 SHA-512; hashes of 48 bytes prove them wrong.
type HashAlgorithm uint8

// The algorithms; the last two are rpc-go's.
const (
	MD5    HashAlgorithm = 0
	SHA1   HashAlgorithm = 1
	SHA256 HashAlgorithm = 2
	SHA384 HashAlgorithm = 3
	SHA224 HashAlgorithm = 4
	SHA512 HashAlgorithm = 5
)

// Size returns the bytes of a hash, 64 if the algorithm is not known.
func (a HashAlgorithm) Size() int {
	switch a {
	case MD5:
		return 16
	case SHA1:
		return 20
	case SHA224:
		return 28
	case SHA256:
		return 32
	case SHA384:
		return 48
	}
	return hashLen
}

func (a HashAlgorithm) String() string {
	switch a {
	case MD5:
		return "MD5"
	case SHA1:
		return "SHA-1"
	case SHA224:
		return "SHA-224"
	case SHA256:
		return "SHA-256"
	case SHA384:
		return "SHA-384"
	case SHA512:
		return "SHA-512"
	}
	return "unknown (" + strconv.Itoa(int(a)) + ")"
}

// trim returns a copy of a hash out of its field of 64 bytes.
func (a HashAlgorithm) trim(field []byte) []byte { return append([]byte(nil), field[:a.Size()]...) }
