/// What a peer did that the protocol forbids. The session ends with it.
package enum YamuxViolation: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another version of the protocol than 0.
  case version(UInt8)
  /// A frame of a type that does not exist.
  case type(UInt8)
  /// Flags that do not exist, or not for that type.
  case flags(UInt16, type: UInt8)
  /// Data or a window update on stream 0, which stands for the session.
  case streamFrameOnSession
  /// A ping or a go-away on a stream.
  case sessionFrameOnStream(UInt32)
  /// A stream opened with an id that only this side may choose.
  case wrongParity(UInt32)
  /// A stream opened with an id that is not above all that the peer used before.
  case idNotAscending(UInt32)
  /// A frame on a stream that was not opened, or data on one that was closed so long ago that nothing is known of it.
  case unknownStream(UInt32)
  /// A data frame of more bytes than the window of its stream has left.
  case windowExceeded(UInt32, length: UInt32, window: UInt32)
  /// A data frame that is longer than the limit, whatever the window.
  case frameTooLong(UInt32, length: UInt32)
  /// Data after the peer finished or reset the stream.
  case dataAfterEnd(UInt32)
  /// Window updates that add up to more than 2^32 - 1.
  case windowOverflow(UInt32)
  /// More streams were opened in vain than resets may wait to be sent.
  case tooManyResets

  /// A name for programs, such as counters.
  package var code: String {
    switch self {
    case .version: "version"
    case .type: "type"
    case .flags: "flags"
    case .streamFrameOnSession: "streamFrameOnSession"
    case .sessionFrameOnStream: "sessionFrameOnStream"
    case .wrongParity: "wrongParity"
    case .idNotAscending: "idNotAscending"
    case .unknownStream: "unknownStream"
    case .windowExceeded: "windowExceeded"
    case .frameTooLong: "frameTooLong"
    case .dataAfterEnd: "dataAfterEnd"
    case .windowOverflow: "windowOverflow"
    case .tooManyResets: "tooManyResets"
    }
  }

  /// A sentence for a person, with the code.
  package var description: String { "the peer broke the rules of Yamux: \(fault) [\(code)]" }

  private var fault: String {
    switch self {
    case .version(let version): "a frame has version \(version), only 0 exists"
    case .type(let type): "a frame has the unknown type \(type)"
    case .flags(let flags, let type): "a frame of type \(type) has the flags \(flags), which it may not have"
    case .streamFrameOnSession: "data or a window update came on stream 0"
    case .sessionFrameOnStream(let stream): "a ping or go-away came on stream \(stream) instead of 0"
    case .wrongParity(let stream): "it opened stream \(stream), an id of this side"
    case .idNotAscending(let stream): "it opened stream \(stream), which is not above its last one"
    case .unknownStream(let stream): "a frame came on stream \(stream), which is not known"
    case .windowExceeded(let stream, let length, let window):
      "\(length) bytes came on stream \(stream), whose window had \(window) left"
    case .frameTooLong(let stream, let length): "a frame of \(length) bytes came on stream \(stream), over the limit"
    case .dataAfterEnd(let stream): "data came on stream \(stream) after it had been ended"
    case .windowOverflow(let stream): "the window of stream \(stream) was raised above 2^32 - 1"
    case .tooManyResets: "it opened more streams in vain than resets can wait"
    }
  }
}
