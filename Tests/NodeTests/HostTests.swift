import Primitives
import Testing
import Wire

@testable import Blobs
@testable import Config
@testable import Control
@testable import Hardware
@testable import Node

@Suite struct OfferBuilderTests {
  private let hardware: HardwareReport

  init() { hardware = HardwareProbe(diskPaths: ["/tmp"]).report() }

  @Test func whatIsSwitchedOffIsNotOffered() {
    var section = NodeConfiguration.OfferSection()
    section.isEnabled = false
    #expect(OfferBuilder.offer(section, hardware: hardware, isolation: .rlimit) == nil)
  }

  @Test func zeroStandsForWhatWasFound() throws {
    var section = NodeConfiguration.OfferSection()
    section.maximumJobs = 4
    let offer = try #require(OfferBuilder.offer(section, hardware: hardware, isolation: .cgroup2))
    #expect(offer.resources.cpuMilli > 0)
    #expect(offer.resources.memoryBytes > 0)
    let all = try #require(hardware.memory.effectiveBytes ?? hardware.memory.totalBytes)
    #expect(offer.resources.memoryBytes < all)
    #expect(offer.isolation == .cgroup2 && offer.drivers == ["native"] && offer.maximumJobs == 4)
    #expect(try OfferTerms(decoding: offer.encoded) == offer)
  }

  @Test func whatTheOperatorSaysCountsWithinTheBoundsOfTheWire() throws {
    var section = NodeConfiguration.OfferSection()
    section.cpuMilli = .max
    section.memoryBytes = 77
    section.diskBytes = 78
    section.maximumJobs = .max
    section.priceCPUSecondMicrocredits = 5
    let offer = try #require(OfferBuilder.offer(section, hardware: hardware, isolation: .rlimit))
    #expect(offer.resources.cpuMilli == .max)
    #expect(offer.resources.memoryBytes == 77 && offer.resources.diskBytes == 78)
    #expect(offer.maximumJobs == .max && offer.prices.cpuSecondMicrocredits == 5)
    #expect(offer.isolation == .rlimit)
  }

  @Test func gpusAreOfferedUnlessTheyAreNotOrNotHealthy() throws {
    var host = hardware
    host.gpus = (0..<3).map { number in
      var gpu = GPUReport(id: "gpu\(number)", vendor: .nvidia, memoryTotalBytes: 1 << 30)
      gpu.name = String(repeating: "\u{e9}", count: 60)
      gpu.deviceNodes = ["/dev/nvidia\(number)"]
      return gpu
    }
    host.gpus[1].offerable = false
    host.gpus[2].isCompute = false
    var section = NodeConfiguration.OfferSection()
    let offer = try #require(OfferBuilder.offer(section, hardware: host, isolation: .rlimit))
    #expect(offer.gpus.count == 1)
    #expect(try #require(offer.gpus.first).model.utf8.count <= Label.maximumBytes)
    #expect(try OfferTerms(decoding: offer.encoded) == offer)
    section.gpus = .none
    #expect(try #require(OfferBuilder.offer(section, hardware: host, isolation: .rlimit)).gpus.isEmpty)
  }
}

@Suite struct HostAddressesTests {
  @Test func everyAddressCanBeReached() {
    for isIPv4 in [true, false] {
      for address in HostAddresses.all(isIPv4: isIPv4, port: 7_447) {
        #expect(address.isIPv4 == isIPv4 && address.port == 7_447 && address.isUsable)
      }
    }
    #expect(!HostAddresses.all(isIPv4: true, port: 1).isEmpty)
  }

  @Test func addressTextsNeedNoLookup() async {
    #expect(await Dialer.resolve(host: "127.0.0.1", port: 5).map(\.description) == ["127.0.0.1:5"])
    #expect(await Dialer.resolve(host: "::1", port: 5).count == 1)
    #expect(await Dialer.resolve(host: "localhost", port: 5).allSatisfy { $0.isLoopback && $0.port == 5 })
  }
}

@Suite struct BoundedTextTests {
  @Test func aTextFitsInWholeCharacters() {
    let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}"
    let bounded = LeaseRunner.bounded(String(repeating: family, count: 100))
    #expect(bounded.utf8.count <= LeaseResult.maximumMessageBytes)
    #expect(bounded.utf8.count % family.utf8.count == 0)
    #expect(LeaseRunner.bounded("a\0b") == "ab")
    #expect(LeaseRunner.bounded(String(repeating: "x", count: 64), bytes: 63).utf8.count == 63)
  }
}

@Suite struct DirectoryTreeTests {
  private func store(_ scratch: Scratch) throws -> BlobStore {
    try BlobStore(directory: scratch.path + "/blobs", maximumBytes: 1 << 24)
  }

  @Test func aManifestBecomesBlobs() throws {
    let scratch = try Scratch()
    let store = try store(scratch)
    let file = try store.importBytes([1, 2, 3], pinnedBy: "test").root
    let tree = try DirectoryTree(
      Control.DirectoryManifest(entries: [
        DirectoryEntry(path: "a/b/c", root: "\(file)", executable: true),
        DirectoryEntry(path: "a/link", kind: .symlink, target: "b/c"),
        DirectoryEntry(path: "a", kind: .directory),
        DirectoryEntry(path: "empty", kind: .directory),
        DirectoryEntry(path: "e\u{301}", root: "\(file)"),
        DirectoryEntry(path: "\u{e9}", root: "\(file)"),
      ]))
    let summary = try tree.store(in: store, pinnedBy: "test")
    #expect(summary.kind == .directory)
    let top = try store.entries(of: summary.root)
    #expect(
      top.map { String(decoding: $0.name, as: UTF8.self).unicodeScalars.count } == [1, 5, 2, 1])
    guard case .directory(let a, _)? = top.first?.content else {
      Issue.record("a is no directory")
      return
    }
    let below = try store.entries(of: a)
    #expect(below.map { String(decoding: $0.name, as: UTF8.self) } == ["b", "link"])
    guard case .directory(let b, _)? = below.first?.content, case .link(let target)? = below.last?.content else {
      Issue.record("b is no directory, or link no link")
      return
    }
    #expect(target == Array("b/c".utf8))
    let leaf = try #require(try store.entries(of: b).first)
    #expect(leaf.mode == 0o755 && leaf.content == .file(root: file, size: 3))
  }

  @Test func whatIsNoTreeIsRefused() throws {
    let scratch = try Scratch()
    let store = try store(scratch)
    let file = try store.importBytes([1], pinnedBy: "test").root
    func refuses(_ entries: [DirectoryEntry]) -> Bool {
      do {
        _ = try DirectoryTree(Control.DirectoryManifest(entries: entries)).store(in: store, pinnedBy: "test")
        return false
      } catch { return error is ControlError || error is BlobError }
    }
    let leaf = DirectoryEntry(path: "a", root: "\(file)")
    #expect(!refuses([leaf]))
    #expect(refuses([leaf, leaf]))
    #expect(refuses([leaf, DirectoryEntry(path: "a/b", root: "\(file)")]))
    #expect(refuses([leaf, DirectoryEntry(path: "a", kind: .directory)]))
    #expect(refuses([DirectoryEntry(path: "a/b", root: "\(file)"), leaf]))
    #expect(refuses([DirectoryEntry(path: "a", root: "no root")]))
    #expect(refuses([DirectoryEntry(path: "a", root: "\(Digest(hashing: [9]))")]))
    let deep = (0...BlobLimits.maximumDepth).map { _ in "d" }.joined(separator: "/")
    #expect(refuses([DirectoryEntry(path: deep, root: "\(file)")]))
  }

  @Test func aWideDirectoryTakesNoTime() throws {
    let file = "\(Digest(hashing: [1]))"
    let entries = (0..<50_000).map { DirectoryEntry(path: "wide/\($0)", root: file) }
    _ = try DirectoryTree(Control.DirectoryManifest(entries: entries))
  }
}

@Suite struct BlobKeeperTests {
  @Test func uploadsBelongToTheirJobUntilItHasEnded() throws {
    let scratch = try Scratch()
    let store = try BlobStore(directory: scratch.path, maximumBytes: 1 << 24)
    let keeper = BlobKeeper(store: store, logger: silence())
    let root = try store.importBytes([1], pinnedBy: BlobKeeper.uploads).root
    let first = Digest(hashing: [1])
    let second = Digest(hashing: [2])
    keeper.hand([root], to: first)
    keeper.hand([root], to: second)
    #expect(keeper.jobs.sorted() == [first, second].sorted())
    keeper.release(jobs: [first])
    #expect(keeper.jobs == [second])
    #expect(store.pins(of: root) == ["job-\(second)"])
    keeper.release(jobs: [second])
    #expect(store.pinOwners.isEmpty)
    #expect(store.has(root))
  }

  @Test func whatWasUploadedForNothingIsReleasedAtTheNextStart() throws {
    let scratch = try Scratch()
    let store = try BlobStore(directory: scratch.path, maximumBytes: 1 << 24)
    let root = try store.importBytes([1], pinnedBy: BlobKeeper.uploads).root
    try store.pin(root, by: "job-\(Digest(hashing: [1]))")
    let keeper = BlobKeeper(store: store, logger: silence())
    #expect(keeper.jobs == [Digest(hashing: [1])])
    #expect(store.pins(of: root) == ["job-\(Digest(hashing: [1]))"])
  }
}

@Suite struct OpenFilesTests {
  @Test func linksThatDoNotFitAreTold() throws {
    #expect(OpenFiles.problem(links: 256, limit: 65_536) == nil)
    #expect(OpenFiles.problem(links: 256, limit: 1_280) == nil)
    let problem = try #require(OpenFiles.problem(links: 4_096, limit: 1_024))
    #expect(problem.contains("maximum_links = 4096") && problem.contains("5120"))
  }
}
