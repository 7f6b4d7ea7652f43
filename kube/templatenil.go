package kube

import (
	"errors"
	"fmt"
	"reflect"
	"text/template/parse"
)

// The functions that demand puts into templates.
const (
	demandValue = "_value"
	demandKey   = "_index"
)

// demand rewrites a template so that what has no value is an error where it would be
// written: the last step of each action is present, and its index is one that refuses
// a key that is not there. Conditions stay as they are.
func demand(tree *parse.Tree, node parse.Node) {
	var branch *parse.BranchNode
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				demand(tree, child)
			}
		}
	case *parse.ActionNode:
		demandKeys(n.Pipe)
		if len(n.Pipe.Decl) == 0 {
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
				NodeType: parse.NodeCommand, Pos: n.Pos,
				Args: []parse.Node{parse.NewIdentifier(demandValue).SetTree(tree).SetPos(n.Pos)},
			})
		}
	case *parse.IfNode:
		branch = &n.BranchNode
	case *parse.RangeNode:
		branch = &n.BranchNode
	case *parse.WithNode:
		branch = &n.BranchNode
	}
	if branch != nil {
		demand(tree, branch.List)
		demand(tree, branch.ElseList)
	}
}

func demandKeys(p *parse.PipeNode) {
	for _, c := range p.Cmds {
		args := c.Args
		if f, ok := args[0].(*parse.IdentifierNode); ok && f.Ident == "or" {
			args = args[len(args)-1:] // the others may be missing, that is what it is for
		}
		for _, arg := range args {
			switch a := arg.(type) {
			case *parse.IdentifierNode:
				if a.Ident == "index" {
					a.Ident = demandKey
				}
			case *parse.PipeNode:
				demandKeys(a)
			case *parse.ChainNode:
				if inner, ok := a.Node.(*parse.PipeNode); ok {
					demandKeys(inner)
				}
			}
		}
	}
}

// present refuses to write what is nil.
func present(v any) (any, error) {
	for at := reflect.ValueOf(v); ; at = at.Elem() {
		switch {
		case !at.IsValid():
			return nil, errors.New("there is no value to write")
		case at.Kind() != reflect.Pointer && at.Kind() != reflect.Interface:
			return v, nil
		}
	}
}

// index is the function index of text/template, except that a key that a map does not
// have is an error.
func index(item any, keys ...any) (any, error) {
	at := reflect.ValueOf(item)
	for _, key := range keys {
		for at.Kind() == reflect.Pointer || at.Kind() == reflect.Interface {
			at = at.Elem()
		}
		k := reflect.ValueOf(key)
		if !at.IsValid() || !k.IsValid() {
			return nil, errors.New("index of nil")
		}
		switch at.Kind() {
		case reflect.Map:
			if kt := at.Type().Key(); !k.Type().AssignableTo(kt) && !(k.CanInt() && reflect.Zero(kt).CanInt()) {
				return nil, fmt.Errorf("index: a key is a %s, not a %s", kt, k.Type())
			}
			if at = at.MapIndex(k.Convert(at.Type().Key())); !at.IsValid() {
				return nil, fmt.Errorf("no entry for key %q", fmt.Sprint(key))
			}
		case reflect.Slice, reflect.Array, reflect.String:
			if !k.CanInt() || k.Int() < 0 || k.Int() >= int64(at.Len()) {
				return nil, fmt.Errorf("index %v is out of range", key)
			}
			at = at.Index(int(k.Int()))
		default:
			return nil, fmt.Errorf("index of a %s", at.Type())
		}
	}
	if !at.IsValid() {
		return nil, nil
	}
	return at.Interface(), nil
}
