package gitartifact_test

import (
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact/gitartifact"
)

func ExampleChangeLog_Text() {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	log := gitartifact.ChangeLog{Added: []gitartifact.Entry{
		{ID: "4f2a9c1d7b3e5f60718293a4b5c6d7e8f9012345", Author: "Dora", At: at, Subject: "checkout: one request less"},
		{ID: "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678", Author: "Bob", At: at.AddDate(0, 0, -1), Subject: "cart: remember the coupon"},
	}}
	fmt.Print(log.Text(10))
	// Output:
	// 2 new commits:
	//   4f2a9c1d7b checkout: one request less (Dora, 2026-05-04)
	//   a1b2c3d4e5 cart: remember the coupon (Bob, 2026-05-03)
}

func ExampleOpen() {
	_, err := gitartifact.Open("https://bob:hunter2@git.example.com/shop.git", gitartifact.Options{})
	fmt.Println(err)
	// Output: git repository on git.example.com: credentials in the URL; use Options
}
