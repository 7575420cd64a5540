module sekisho

go 1.26
