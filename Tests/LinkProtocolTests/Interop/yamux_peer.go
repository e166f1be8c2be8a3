// The other end of a Yamux session: HashiCorp's own implementation.
//
// usage: yamux_peer client|server PORT STREAMS BYTES
//
// Connects to 127.0.0.1:PORT. As the client it opens the streams; as the server it accepts them. On each stream both sides
// send BYTES bytes and then, when they have read as many, the SHA-256 of what they read. Every second stream is read slowly,
// so that the other side's window runs empty. What a stream carries depends on its number, and is not checked here: the
// hashes that come back are. Says `ok` when all did, and waits for the other side to end the connection.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

const pieceBytes = 65536

// The slow ones pause when they have read so much; the window is twice of it.
const pauseEvery = 131072
const pause = 10 * time.Millisecond

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// What a stream carries: the same hash again and again would hide bytes that changed places, so a counter goes along.
func fill(piece []byte, stream uint32, offset int) {
	for index := 0; index+8 <= len(piece); index += 8 {
		binary.LittleEndian.PutUint64(piece[index:], (uint64(offset+index)+uint64(stream)<<40)*0x9e3779b97f4a7c15)
	}
}

func send(stream *yamux.Stream, count int) []byte {
	hash := sha256.New()
	piece := make([]byte, pieceBytes)
	for offset := 0; offset < count; offset += len(piece) {
		if count-offset < len(piece) {
			piece = piece[:count-offset]
		}
		fill(piece, stream.StreamID(), offset)
		hash.Write(piece)
		if _, err := stream.Write(piece); err != nil {
			fail("stream %d: write at %d: %v", stream.StreamID(), offset, err)
		}
	}
	return hash.Sum(nil)
}

func receive(stream *yamux.Stream, count int, isSlow bool) []byte {
	hash := sha256.New()
	piece := make([]byte, pieceBytes)
	sincePause := 0
	for offset := 0; offset < count; {
		if count-offset < len(piece) {
			piece = piece[:count-offset]
		}
		got, err := stream.Read(piece)
		if err != nil {
			fail("stream %d: read at %d: %v", stream.StreamID(), offset, err)
		}
		hash.Write(piece[:got])
		offset += got
		sincePause += got
		if isSlow && sincePause >= pauseEvery {
			sincePause = 0
			time.Sleep(pause)
		}
	}
	return hash.Sum(nil)
}

func carry(stream *yamux.Stream, count int) {
	sent := make(chan []byte)
	go func() { sent <- send(stream, count) }()
	received := receive(stream, count, stream.StreamID()/2%2 == 1)
	expected := <-sent
	if _, err := stream.Write(received); err != nil {
		fail("stream %d: write of the hash: %v", stream.StreamID(), err)
	}
	answer := make([]byte, sha256.Size)
	if _, err := io.ReadFull(stream, answer); err != nil {
		fail("stream %d: read of the hash: %v", stream.StreamID(), err)
	}
	if !bytes.Equal(answer, expected) {
		fail("stream %d: what arrived is not what was sent", stream.StreamID())
	}
	if err := stream.Close(); err != nil {
		fail("stream %d: close: %v", stream.StreamID(), err)
	}
}

func main() {
	if len(os.Args) != 5 {
		fail("usage: yamux_peer client|server PORT STREAMS BYTES")
	}
	streams, _ := strconv.Atoi(os.Args[3])
	count, _ := strconv.Atoi(os.Args[4])
	connection, err := net.Dial("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil {
		fail("%v", err)
	}
	config := yamux.DefaultConfig()
	// Often, so that pings go along with the data.
	config.KeepAliveInterval = 200 * time.Millisecond
	// A busy machine may leave either side without its processor for seconds.
	config.ConnectionWriteTimeout = time.Minute
	var session *yamux.Session
	if os.Args[1] == "client" {
		session, err = yamux.Client(connection, config)
	} else {
		session, err = yamux.Server(connection, config)
	}
	if err != nil {
		fail("%v", err)
	}
	var group sync.WaitGroup
	for number := 0; number < streams; number++ {
		var stream *yamux.Stream
		if os.Args[1] == "client" {
			stream, err = session.OpenStream()
		} else {
			stream, err = session.AcceptStream()
		}
		if err != nil {
			fail("stream number %d: %v", number, err)
		}
		group.Add(1)
		go func() {
			defer group.Done()
			carry(stream, count)
		}()
	}
	group.Wait()
	if _, err := session.Ping(); err != nil {
		fail("ping: %v", err)
	}
	fmt.Println("ok")
	<-session.CloseChan()
}
