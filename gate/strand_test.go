package gate

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// withoutTheLoop gives the sessions of the next houses goroutines of their own,
// as sessions with TLS have. Tests of this package run one after the other.
var withoutTheLoop bool

// What holds for sessions on the loop holds for those on goroutines.
func TestWithoutTheLoop(t *testing.T) {
	withoutTheLoop = true
	defer func() { withoutTheLoop = false }()
	for _, test := range []func(*testing.T){
		TestSameAnswersAndTheTruthInTheLedger,
		TestSameAnswersInCrumbs,
		TestExtendedQuery,
		TestObserve,
		TestLongResult,
		TestLargeRows,
		TestRowOverTheLimit,
		TestSlowClient,
		TestCancel,
		TestCancelledAccess,
		TestFullDiskInTheMiddleOfAResult,
		TestServerDiesInTheMiddleOfAResult,
		TestClientVanishesInTheMiddleOfAResult,
		TestCloseInTheMiddleOfAResult,
		TestCloseWithAClientThatDoesNotRead,
		TestErrorsOfProtectedStatementsHoldNoValues,
		TestErrorsAnswerNoQuestionUnseen,
		TestNamesThatChangeHandsLeakNothing,
		TestCopyThatFailsDoesNotShiftTheAnswers,
		TestBindingIsRecordedBeforeItRunsAnything,
		TestCutWhileTheServerIsNotRead,
		TestRowWithoutAKeyIsAnybodys,
		TestOffsetSkipsNobodyUnseen,
		TestForetold,
		TestForetoldAndABrokenDisk,
		TestWritesNameTheirCustomers,
		TestWritesInTransactionsAndPipelines,
		TestAWriteThatCannotBeRecordedIsRolledBack,
		TestAWriteIsNotSeenBeforeItIsRecorded,
		TestCopyFromNamesItsLines,
	} {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		t.Run(strings.TrimPrefix(name[strings.LastIndexByte(name, '.')+1:], "Test"), test)
	}
}
