package drill

import "sekisho/tell"

// company is who speaks in the drills' texts: nobody. Without it a form of the
// regulator would say that the company's own name is under investigation.
func company() tell.Company {
	return tell.Company{
		Name: "見本航空旅行株式会社", NameEn: "Example Air Travel",
		Address: "東京都千代田区見本町1-2-3", AddressEn: "1-2-3 Mihon-cho, Chiyoda-ku, Tokyo",
		Representative: "代表取締役社長 見本 一郎", RepresentativeEn: "Ichiro Mihon, president",
		Business: "運輸業・旅行業", BusinessEn: "air transport and travel",
		Officer: "個人情報保護責任者 見本 花子 03-0000-0000", OfficerEn: "Hanako Mihon, privacy officer, 03-0000-0000",
		Contact: "お客さま相談窓口 0120-000-000（9時から17時）", ContactEn: "customer desk, 0120-000-000, 9:00 to 17:00",
	}
}
