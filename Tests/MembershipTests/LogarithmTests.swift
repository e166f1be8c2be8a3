import Testing

@testable import Membership

@Suite struct LogarithmTests {
  @Test func isCloseToTheTrueLogarithm() {
    for (value, truth): (Int, Int64) in [(1, 0), (2, 301), (10, 1_000), (20, 1_301), (100, 2_000), (65_536, 4_816)] {
      let answer = Logarithm.thousandthsOfLog10(value)
      #expect(answer <= truth && answer >= truth - 30)
    }
    #expect([0, 9, 10, 99, 100].map(Logarithm.digits) == [1, 1, 2, 2, 3])
  }
}
