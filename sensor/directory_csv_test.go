package sensor_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"

	"sekisho/sensor"
)

const staffTable = `ログインID,氏名,フリガナ,メールアドレス,雇用区分,役員,入社日,会社コード,会社名,部署,役職,兼務区分
suzuki,鈴木一郎,スズキイチロウ,suzuki@jalx.example,正社員,,2010/4/1,0001,見本航空,営業本部/東京支店,課長,本務
suzuki,鈴木一郎,スズキイチロウ,suzuki@jalx.example,正社員,,2010/4/1,0002,見本整備,整備部,,兼務
tanaka,田中花子,タナカハナコ,tanaka@jalx.example,役員,,1999/4/1,0001,見本航空,,社長,
sato,佐藤,サトウ,sato@haken.example,派遣,,2026/2/1,0001,見本航空,営業本部/東京支店,,
`

// A table of staff reads the same in every encoding that HR systems write.
func TestDirectoryTable(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String(staffTable)
	if err != nil {
		t.Fatal(err)
	}
	jst := time.FixedZone("JST", 9*60*60)
	for name, text := range map[string]string{"utf-8": staffTable, "shift_jis": sjis, "with a mark": "\ufeff" + staffTable} {
		s, err := sensor.ReadDirectory(strings.NewReader(text), sensor.DirectoryFile{Zone: jst})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got bytes.Buffer
		for _, u := range s.Units {
			fmt.Fprintf(&got, "%s %q below %q\n", u.Key, u.Title, u.Parent)
		}
		for _, p := range s.People {
			fmt.Fprintf(&got, "%s %s %s %s joined %v\n", p.User, p.Name, p.Kind, p.Mail, p.Joined)
			for _, one := range p.Places {
				fmt.Fprintf(&got, "  %s %s %s\n", one.As, one.Unit, one.Post)
			}
		}
		const want = `company/0001 "見本航空" below ""
department/0001/営業本部/東京支店 "" below "department/0001/営業本部"
company/0002 "見本整備" below ""
department/0002/整備部 "" below "company/0002"
suzuki 鈴木一郎 employee suzuki@jalx.example joined 2010-03-31T15:00:00.000000Z
  main department/0001/営業本部/東京支店 post/課長
  concurrent department/0002/整備部 
tanaka 田中花子 executive tanaka@jalx.example joined 1999-03-31T15:00:00.000000Z
  main company/0001 post/社長
sato 佐藤 agency sato@haken.example joined 2026-01-31T15:00:00.000000Z
  main department/0001/営業本部/東京支店 
`
		if got.String() != want || len(s.Refused) != 0 {
			t.Errorf("%s: got\n%swant\n%srefused %v", name, got.String(), want, s.Refused)
		}
	}
}

// What cannot be taken is named by its row, and the rest is taken.
func TestDirectoryTableRefuses(t *testing.T) {
	const table = `user,name,mail,employed,joined,left,company,department
a,A,a@x.example,employee,2020-04-01,,1,
,B,b@x.example,,,,1,
c,C,not an address,,,,1,
d,D,,freelance,,,1,
e,E,,,31.4.2020,,1,
f,F,,,2020-04-01,2019-04-01,1,
g,G,,,,,,sales
a,Another,a@x.example,employee,2020-04-01,,1,
h,H,h@x.example,,,,1,sales
i,I
`
	s, err := sensor.ReadDirectory(strings.NewReader(table), sensor.DirectoryFile{Columns: map[string]string{"user": "USER"}})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, r := range s.Refused {
		fmt.Fprintf(&got, "%s: %s\n", r.Where, r.Why)
	}
	const want = `row 3: the user name is missing
row 4: the mail address is none
row 5: "freelance" is no way to be employed that is known: employee, executive, agency or secondee
row 6: joined: "31.4.2020" is no date such as 2026-04-01
row 7: it ends before it begins
row 8: a department without a company
row 9: it says something else of the person than row 2
row 11: wrong number of columns
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	if len(s.People) != 2 {
		t.Errorf("%d people were taken", len(s.People))
	}
	for _, columns := range []map[string]string{{"user": "login"}, {"shoe": "name"}} {
		if _, err := sensor.ReadDirectory(strings.NewReader(table), sensor.DirectoryFile{Columns: columns}); err == nil {
			t.Errorf("a map of %v was taken", columns)
		}
	}
	if _, err := sensor.ReadDirectory(strings.NewReader("name,mail\nA,a@x.example\n"), sensor.DirectoryFile{}); err == nil || !strings.Contains(err.Error(), "--map user=") {
		t.Errorf("a table without user names: %v", err)
	}
}

func FuzzDirectoryTable(f *testing.F) {
	f.Add([]byte(staffTable))
	f.Add([]byte("user,joined\na,2020-04-01\n\"b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := sensor.ReadDirectory(bytes.NewReader(b), sensor.DirectoryFile{})
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, p := range s.People {
			if p.User == "" || seen[p.User] || p.Joined < 0 || p.Left < 0 {
				t.Errorf("a person %+v", p)
			}
			seen[p.User] = true
		}
	})
}
