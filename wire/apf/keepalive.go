package apf

// KeepAliveRequest asks whether the other side is there. Either may send it, on CIRA. 5 bytes.
//
//	0  1  208
//	1  4  cookie
type KeepAliveRequest struct{ Cookie uint32 }

// Append appends the message.
func (m KeepAliveRequest) Append(b []byte) []byte {
	return appendU32(append(b, byte(KindKeepAliveRequest)), m.Cookie)
}

// ParseKeepAliveRequest reads one message off the front of b and returns the rest.
func ParseKeepAliveRequest(b []byte) (m KeepAliveRequest, rest []byte, err error) {
	f := open(b, KindKeepAliveRequest)
	m.Cookie = f.u32()
	rest, err = f.rest(KindKeepAliveRequest)
	return m, rest, err
}

// KeepAliveReply says that it is. 5 bytes.
//
//	0  1  209
//	1  4  cookie of the request
type KeepAliveReply struct{ Cookie uint32 }

// Append appends the message.
func (m KeepAliveReply) Append(b []byte) []byte {
	return appendU32(append(b, byte(KindKeepAliveReply)), m.Cookie)
}

// ParseKeepAliveReply reads one message off the front of b and returns the rest.
func ParseKeepAliveReply(b []byte) (m KeepAliveReply, rest []byte, err error) {
	f := open(b, KindKeepAliveReply)
	m.Cookie = f.u32()
	rest, err = f.rest(KindKeepAliveReply)
	return m, rest, err
}

// KeepAliveOptionsRequest tells a machine how often to ask. 9 bytes.
//
//	0  1  210
//	1  4  interval, seconds
//	5  4  timeout, seconds
type KeepAliveOptionsRequest struct {
	Interval uint32 // seconds between requests; 0 leaves it as it is
	Timeout  uint32 // seconds that a reply may take; 0 leaves it as it is
}

// Append appends the message.
func (m KeepAliveOptionsRequest) Append(b []byte) []byte {
	b = appendU32(append(b, byte(KindKeepAliveOptionsRequest)), m.Interval)
	return appendU32(b, m.Timeout)
}

// ParseKeepAliveOptionsRequest reads one message off the front of b and returns the rest.
func ParseKeepAliveOptionsRequest(b []byte) (m KeepAliveOptionsRequest, rest []byte, err error) {
	f := open(b, KindKeepAliveOptionsRequest)
	m.Interval, m.Timeout = f.u32(), f.u32()
	rest, err = f.rest(KindKeepAliveOptionsRequest)
	return m, rest, err
}

// KeepAliveOptionsReply tells what is in force. 9 bytes.
//
//	0  1  211
//	1  4  interval, seconds
//	5  4  timeout, seconds
type KeepAliveOptionsReply struct{ Interval, Timeout uint32 }

// Append appends the message.
func (m KeepAliveOptionsReply) Append(b []byte) []byte {
	b = appendU32(append(b, byte(KindKeepAliveOptionsReply)), m.Interval)
	return appendU32(b, m.Timeout)
}

// ParseKeepAliveOptionsReply reads one message off the front of b and returns the rest.
func ParseKeepAliveOptionsReply(b []byte) (m KeepAliveOptionsReply, rest []byte, err error) {
	f := open(b, KindKeepAliveOptionsReply)
	m.Interval, m.Timeout = f.u32(), f.u32()
	rest, err = f.rest(KindKeepAliveOptionsReply)
	return m, rest, err
}
