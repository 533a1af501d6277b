// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture, Vm} from "./Base.sol";
import {AnchorRegistry} from "../src/AnchorRegistry.sol";

/// @dev Constructor, storage positions, `anchor` and all its errors.
contract AnchorTest is Fixture {
    bytes32 private constant A = keccak256("a");
    bytes32 private constant B = keccak256("b");

    function test_constructor_sets_state_and_tells() public {
        vm.recordLogs();
        AnchorRegistry r = new AnchorRegistry(OWNER, PUBLISHER, 1);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 2, "events");
        vm.assertEq(logs[0].topics[0], AnchorRegistry.OwnershipTransferred.selector, "first event");
        vm.assertEq(logs[1].topics[0], AnchorRegistry.PublisherChanged.selector, "second event");
        vm.assertEq(r.owner(), OWNER, "owner");
        vm.assertEq(r.publisher(), PUBLISHER, "publisher");
        vm.assertEq(r.pendingOwner(), address(0), "pendingOwner");
        vm.assertEq(r.pendingPublisher(), address(0), "pendingPublisher");
        vm.assertEq(r.firstNumber(), 1, "firstNumber");
        vm.assertEq(r.lastNumber(), 0, "lastNumber");
    }

    function test_constructor_refuses_zero_arguments() public {
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.ZeroAddress.selector));
        new AnchorRegistry(address(0), PUBLISHER, 1);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.ZeroAddress.selector));
        new AnchorRegistry(OWNER, address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.ZeroFirstNumber.selector));
        new AnchorRegistry(OWNER, PUBLISHER, 0);
    }

    /// Binding for eth_getProof. Break it: swap two fields of Anchor, or two state variables.
    function test_storage_positions_and_packing() public {
        vm.warp(0x1111111122222222);
        vm.roll(0x3333333344444444);
        store(A, 0x5555555566666666);
        bytes32 word = vm.load(address(registry), keccak256(abi.encode(A, uint256(0))));
        vm.assertEq(word, bytes32(0x0000000000000007555555556666666633333333444444441111111122222222), "record");

        vm.startPrank(OWNER);
        registry.transferOwnership(address(0xC0));
        registry.proposePublisher(address(0xD0));
        vm.stopPrank();
        vm.assertEq(slot(0), 0, "slot 0 is the mapping's");
        vm.assertEq(slot(1), uint256(7) << 160 | uint160(PUBLISHER), "slot 1: lastNumber | publisher");
        vm.assertEq(slot(2), uint256(7) << 160 | uint160(OWNER), "slot 2: firstNumber | owner");
        vm.assertEq(slot(3), 0xC0, "slot 3: pendingOwner");
        vm.assertEq(slot(4), 0xD0, "slot 4: pendingPublisher");
        vm.assertEq(slot(5), 0, "nothing after slot 4");
    }

    /// Break it: make firstNumber immutable.
    function test_runtime_code_is_the_same_for_every_deployment() public {
        AnchorRegistry other = new AnchorRegistry(STRANGER, OWNER, 99);
        vm.assertEq(address(other).codehash, address(registry).codehash, "code hash");
    }

    /// No instruction by which code or history could be replaced, nor value sent. STATICCALL (sha256) is the only call.
    /// Break it: let any function delegatecall.
    function test_code_cannot_delegate_destroy_create_or_pay() public view {
        bytes memory code = address(registry).code;
        for (uint256 i = 0; i < code.length; ++i) {
            uint8 op = uint8(code[i]);
            if (op >= 0x60 && op <= 0x7f) {
                i += op - 0x5f;
                continue;
            }
            bool bad = op == 0xf0 || op == 0xf1 || op == 0xf2 || op == 0xf4 || op == 0xf5 || op == 0xff;
            vm.assertTrue(!bad, "forbidden opcode");
        }
    }

    function test_refuses_value_and_unknown_calls() public {
        vm.deal(address(this), 1 ether);
        (bool ok,) = address(registry).call{value: 1}("");
        vm.assertTrue(!ok, "plain transfer");
        (ok,) = address(registry).call(hex"deadbeef");
        vm.assertTrue(!ok, "unknown selector");
        vm.deal(PUBLISHER, 1 ether);
        vm.prank(PUBLISHER);
        (ok,) = address(registry).call{value: 1}(abi.encodeCall(AnchorRegistry.anchor, (FIRST, A, 2)));
        vm.assertTrue(!ok, "value with anchor");
    }

    function test_anchor_stores_and_tells() public {
        vm.expectEmit(address(registry));
        emit AnchorRegistry.Anchored(A, FIRST, 1002, PUBLISHER);
        vm.prank(PUBLISHER);
        registry.anchor(FIRST, A, 1002);
        assertRecord(A, T0, 12, 1002, FIRST, "first");
        vm.assertEq(registry.lastNumber(), FIRST, "lastNumber");

        vm.warp(T0 + 60);
        vm.roll(17);
        store(B, 2);
        assertRecord(B, T0 + 60, 17, 2, FIRST + 1, "second");
        assertRecord(A, T0, 12, 1002, FIRST, "first unchanged");
        assertRecord(keccak256("other"), 0, 0, 0, 0, "unknown root");
        vm.assertEq(registry.lastNumber(), FIRST + 1, "lastNumber after two");
        vm.assertEq(registry.firstNumber(), FIRST, "firstNumber stays");
    }

    /// Break it: drop the early return (NumberTaken), or fall through to the write (new time and block).
    function test_repeat_is_a_silent_no_op() public {
        store(A, 5);
        store(B, 6);
        vm.warp(T0 + 1000);
        vm.roll(99);
        vm.recordLogs();
        vm.startPrank(PUBLISHER);
        registry.anchor(FIRST, A, 5);
        registry.anchor(FIRST + 1, B, 6);
        vm.stopPrank();
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
        assertRecord(A, T0, 12, 5, FIRST, "A unchanged");
        assertRecord(B, T0, 12, 6, FIRST + 1, "B unchanged");
        vm.assertEq(registry.lastNumber(), FIRST + 1, "lastNumber unchanged");
    }

    /// Break it: drop the publisher check.
    function test_only_publisher_anchors() public {
        store(A, 5);
        address[3] memory others = [STRANGER, OWNER, address(0)];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory notPublisher = abi.encodeWithSelector(AnchorRegistry.NotPublisher.selector, others[i]);
            fails(others[i], FIRST + 1, B, 5, notPublisher);
            fails(others[i], FIRST, A, 5, notPublisher); // the no-op as well
        }
    }

    /// Break each: drop the check named by the error.
    function test_refuses_bad_arguments() public {
        fails(PUBLISHER, FIRST, bytes32(0), 5, abi.encodeWithSelector(AnchorRegistry.ZeroRoot.selector));
        fails(PUBLISHER, FIRST, A, 0, abi.encodeWithSelector(AnchorRegistry.SizeTooSmall.selector, 0));
        fails(PUBLISHER, FIRST, A, 1, abi.encodeWithSelector(AnchorRegistry.SizeTooSmall.selector, 1));
    }

    /// Break it: take any number above lastNumber; or start from 1 whatever firstNumber says.
    function test_refuses_holes_and_numbers_before_the_first() public {
        fails(PUBLISHER, FIRST + 1, A, 5, outOfOrder(FIRST + 1, FIRST));
        fails(PUBLISHER, type(uint64).max, A, 5, outOfOrder(type(uint64).max, FIRST));
        fails(PUBLISHER, FIRST - 1, A, 5, outOfOrder(FIRST - 1, FIRST));
        fails(PUBLISHER, 0, A, 5, outOfOrder(0, FIRST));
        store(A, 5);
        fails(PUBLISHER, FIRST + 2, B, 5, outOfOrder(FIRST + 2, FIRST + 1));
        fails(PUBLISHER, FIRST - 1, B, 5, outOfOrder(FIRST - 1, FIRST + 1));
    }

    /// Break it: drop the comparison with lastNumber.
    function test_refuses_another_root_for_a_taken_number() public {
        store(A, 5);
        fails(PUBLISHER, FIRST, B, 5, abi.encodeWithSelector(AnchorRegistry.NumberTaken.selector, FIRST, FIRST));
        store(keccak256("c"), 5);
        fails(PUBLISHER, FIRST, B, 5, abi.encodeWithSelector(AnchorRegistry.NumberTaken.selector, FIRST, FIRST + 1));
        assertRecord(B, 0, 0, 0, 0, "B not stored");
    }

    /// Break it: drop the comparison of stored.number, so that any repeat of a root is a no-op.
    function test_refuses_a_root_under_a_second_number() public {
        store(A, 5);
        bytes memory already = abi.encodeWithSelector(AnchorRegistry.RootAlreadyAnchored.selector, A, FIRST);
        fails(PUBLISHER, FIRST + 1, A, 5, already);
        fails(PUBLISHER, FIRST - 1, A, 5, already);
        vm.assertEq(registry.lastNumber(), FIRST, "lastNumber unchanged");
    }

    /// Break it: drop the comparison of stored.size.
    function test_refuses_another_size_for_a_stored_root() public {
        store(A, 5);
        fails(PUBLISHER, FIRST, A, 6, abi.encodeWithSelector(AnchorRegistry.SizeMismatch.selector, A, 5, 6));
        assertRecord(A, T0, 12, 5, FIRST, "unchanged");
    }

    /// Break it: compute lastNumber + 1 unchecked and compare number with that alone.
    function test_last_possible_number() public {
        registry = new AnchorRegistry(OWNER, PUBLISHER, type(uint64).max);
        store(A, type(uint64).max);
        assertRecord(A, T0, 12, type(uint64).max, type(uint64).max, "greatest values fit");
        uint64 top = type(uint64).max;
        fails(PUBLISHER, top, B, 5, abi.encodeWithSelector(AnchorRegistry.NumberTaken.selector, top, top));
        fails(PUBLISHER, 0, B, 5, outOfOrder(0, 0)); // 2^64 must not wrap into a next number 0
        fails(PUBLISHER, 1, B, 5, outOfOrder(1, 0));
    }

    /// All four outcomes of a call, from the rule alone. Break it: any of the guards above.
    function testFuzz_anchor_follows_the_rule(uint64 number, bytes32 root, uint64 size, uint8 mix) public {
        store(A, 5);
        store(B, 6);
        if (mix & 1 == 1) root = A;
        if (mix & 2 == 2) size = 5;
        if (mix & 12 != 0) number = FIRST - 2 + (mix >> 4) % 6;
        bool repeat = number == FIRST && root == A && size == 5 || number == FIRST + 1 && root == B && size == 6;
        bool fresh = number == FIRST + 2 && root != A && root != B && root != 0 && size >= 2;
        vm.warp(T0 + 1);
        vm.roll(13);
        vm.prank(PUBLISHER);
        (bool ok,) = address(registry).call(abi.encodeCall(AnchorRegistry.anchor, (number, root, size)));
        vm.assertTrue(ok == (repeat || fresh), "accepted exactly what the rule allows");
        vm.assertEq(registry.lastNumber(), fresh ? FIRST + 2 : FIRST + 1, "lastNumber");
        assertRecord(A, T0, 12, 5, FIRST, "A");
        assertRecord(B, T0, 12, 6, FIRST + 1, "B");
        if (fresh) assertRecord(root, T0 + 1, 13, size, number, "fresh");
        else if (root != A && root != B) assertRecord(root, 0, 0, 0, 0, "nothing else");
    }

    function slot(uint256 n) private view returns (uint256) {
        return uint256(vm.load(address(registry), bytes32(n)));
    }

    function outOfOrder(uint64 number, uint64 expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(AnchorRegistry.OutOfOrder.selector, number, expected);
    }

    function fails(address from, uint64 number, bytes32 root, uint64 size, bytes memory why) private {
        vm.prank(from);
        vm.expectRevert(why);
        registry.anchor(number, root, size);
    }
}
